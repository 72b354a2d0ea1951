package schemas

import "reflect"

// What the types do not say of their JSON. Ranges and patterns are those of
// validation, so they cannot differ.

// documentTypes are the documents that have a JSON Schema; what they hold comes along.
var documentTypes = []reflect.Type{
	reflect.TypeFor[JobSpec](), reflect.TypeFor[JobBatch](), reflect.TypeFor[BatchReply](), reflect.TypeFor[Job](), reflect.TypeFor[JobList](), reflect.TypeFor[Result](), reflect.TypeFor[Record](),
	reflect.TypeFor[Event](), reflect.TypeFor[Facts](), reflect.TypeFor[ExecutorList](), reflect.TypeFor[ImageList](),
	reflect.TypeFor[MissingRequest](), reflect.TypeFor[MissingReply](), reflect.TypeFor[Blob](), reflect.TypeFor[OutputList](),
	reflect.TypeFor[WebhookSpec](), reflect.TypeFor[WebhookPatch](), reflect.TypeFor[WebhookRotation](), reflect.TypeFor[Webhook](), reflect.TypeFor[WebhookList](),
	reflect.TypeFor[CallbackSecret](), reflect.TypeFor[Delivery](), reflect.TypeFor[DeliveryList](), reflect.TypeFor[WebhookEvent](),
	reflect.TypeFor[CampaignSpec](), reflect.TypeFor[Campaign](), reflect.TypeFor[CampaignList](),
	reflect.TypeFor[ProblemDocument](), reflect.TypeFor[StreamChange](), reflect.TypeFor[StreamText](), reflect.TypeFor[Stage](),
	reflect.TypeFor[JobEventsBeginning](), reflect.TypeFor[JobChange](), reflect.TypeFor[JobText](), reflect.TypeFor[JobOutputLost](),
	reflect.TypeFor[AccessTokenRecord](), reflect.TypeFor[AccessTokenRequest](), reflect.TypeFor[NewAccessToken](), reflect.TypeFor[AccessTokenList](),
	reflect.TypeFor[CacheInfo](), reflect.TypeFor[SweepRequest](), reflect.TypeFor[SweepReport](), reflect.TypeFor[TenantUsage](),
}

// closedDocuments are what clients write: unknown members are mistakes. Readers
// of all others must let pass what a newer program adds.
var closedDocuments = map[reflect.Type]bool{
	reflect.TypeFor[JobSpec](): true, reflect.TypeFor[JobBatch](): true, reflect.TypeFor[File](): true, reflect.TypeFor[Stdin](): true, reflect.TypeFor[Limits](): true,
	reflect.TypeFor[Requires](): true, reflect.TypeFor[MissingRequest](): true, reflect.TypeFor[Callback](): true,
	reflect.TypeFor[WebhookSpec](): true, reflect.TypeFor[WebhookPatch](): true, reflect.TypeFor[WebhookRotation](): true,
	reflect.TypeFor[CampaignSpec](): true, reflect.TypeFor[AccessTokenRequest](): true, reflect.TypeFor[SweepRequest](): true,
}

const (
	noNUL         = `^[^\x00]*$`
	digestPattern = `^sha256:[0-9a-f]{64}$`
	base64Pattern = `^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$`
)

type rule func(*node)

func exactlyOne(members ...string) rule {
	return func(n *node) {
		for _, m := range members {
			n.OneOf = append(n.OneOf, &node{Required: []string{m}})
		}
	}
}

func pattern(p string) rule          { return func(n *node) { n.Pattern = p } }
func enum(words ...string) rule      { return func(n *node) { n.Enum = words } }
func maxLength(most int) rule        { return func(n *node) { n.MaxLength = most } }
func atLeast(least int) rule         { return func(n *node) { n.Minimum = least } }
func items(most int, r rule) rule    { return func(n *node) { n.MaxItems = most; r(n.Items) } }
func withDefault(r rule, v any) rule { return func(n *node) { r(n); n.Default = v } }

func within(r Range) rule {
	return func(n *node) {
		n.Minimum, n.Maximum = r.Min, r.Max
		if r.Default != 0 {
			n.Default = r.Default
		}
	}
}

func address(n *node) { n.Pattern, n.MaxLength = urlPattern.String(), MaxURLBytes }

func countsByState(n *node) { n.PropertyNames = &node{Enum: states()} }

func describe(n *node) { n.Pattern, n.MaxLength = `^[^\x00-\x1f\x7f]*$`, MaxDescription }

func labelRule(n *node) {
	n.MaxProperties = MaxLabels
	n.PropertyNames = &node{Pattern: labelPattern.String()}
	n.Additional = &node{Type: "string", Pattern: `^[^\x00-\x1f\x7f]*$`, MaxLength: MaxLabelBytes}
}

func failureCodes() []string {
	var codes []string
	for _, c := range FailureCodes {
		codes = append(codes, string(c))
	}
	return codes
}

func scopeNames() []string {
	var names []string
	for _, s := range Scopes {
		names = append(names, string(s))
	}
	return names
}

func states() []string {
	var names []string
	for _, s := range States {
		names = append(names, string(s))
	}
	return names
}

var typeRules = map[string]rule{
	"BatchItem": exactlyOne("job", "problem"),
	"File":      exactlyOne("text", "base64", "sha256"),
	"Stdin":     exactlyOne("text", "base64", "file"),
	"Event":     exactlyOne("outcome", "failure"),
}

// nameRules hold for members of this name wherever no rule of fieldRules does.
var nameRules = map[string]rule{
	"sha256": pattern(digestPattern), "digest": pattern(digestPattern), "image_digest": pattern(digestPattern),
	"job": pattern(jobIDPattern.String()), "id": pattern(jobIDPattern.String()),
	"tenant": pattern(tokenPattern.String()), "executor": pattern(tokenPattern.String()), "pool": pattern(tokenPattern.String()),
	"lane": enum(LaneInteractive, LaneBatch), "arch": enum(Archs...), "isolation": enum(Isolations...), "accel": enum(Accels...),
	"labels": labelRule, "state": enum(states()...), "base64": pattern(base64Pattern), "path_base64": pattern(base64Pattern),
	"attempt": atLeast(1), "n": atLeast(1), "limit": enum(LimitNames...),
}

var fieldRules = map[string]rule{
	"JobSpec.image":           func(n *node) { n.MinLength, n.MaxLength, n.Pattern = 1, MaxImageBytes, imagePattern.String() },
	"JobSpec.entrypoint":      items(MaxArgs, pattern(noNUL)),
	"JobSpec.args":            items(MaxArgs, pattern(noNUL)),
	"JobSpec.cwd":             withDefault(func(n *node) { n.Pattern, n.MaxLength = "^/", MaxPathBytes }, DefaultCwd),
	"JobSpec.user":            pattern(userPattern.String()),
	"JobSpec.lane":            withDefault(enum(LaneInteractive, LaneBatch), LaneInteractive),
	"JobSpec.cache":           enum(CacheModes...),
	"JobSpec.idempotency_key": pattern(keyPattern.String()),
	"JobSpec.outputs": items(MaxOutputGlobs, func(n *node) {
		n.Pattern, n.MaxLength = `^[^/\x00][^\x00]*$`, MaxPathBytes
	}),
	"JobSpec.env": func(n *node) {
		n.MaxProperties = MaxEnv
		n.PropertyNames = &node{Pattern: `^[^=\x00]+$`}
		n.Additional = &node{Type: "string", Pattern: noNUL}
	},
	"JobSpec.files": func(n *node) {
		n.MaxProperties = MaxFiles
		n.PropertyNames = &node{MinLength: 1, MaxLength: MaxPathBytes, Pattern: noNUL}
		n.Additional = &node{AnyOf: []*node{{Type: "string"}, {Ref: "file.json"}}}
	},

	"JobBatch.jobs":   func(n *node) { n.MaxItems = MaxBatchJobs },
	"JobBatch.mode":   withDefault(enum(BatchModes...), BatchAll),
	"BatchReply.jobs": func(n *node) { n.MaxItems = MaxBatchJobs },

	"File.base64":  func(n *node) { n.Encoding, n.Pattern = "base64", base64Pattern },
	"File.mode":    withDefault(pattern(modePattern.String()), DefaultMode),
	"Stdin.base64": func(n *node) { n.Encoding, n.Pattern = "base64", base64Pattern },
	"Stdin.file":   maxLength(MaxPathBytes),

	"Limits.wall_ms":       within(WallRange),
	"Limits.cpu_ms":        within(CPUTimeRange),
	"Limits.memory_bytes":  within(MemoryRange),
	"Limits.pids":          within(PidsRange),
	"Limits.scratch_bytes": within(ScratchRange),
	"Limits.output_bytes":  within(OutputRange),
	"Limits.cpus": func(n *node) {
		n.Minimum, n.Maximum, n.Default = float64(CPURange.Min)/1000, CPURange.Max/1000, CPURange.Default/1000
		n.MultipleOf = 0.001
	},

	"Requires.isolation":             withDefault(enum(Isolations...), IsolationStrong),
	"Requires.kernel":                pattern(kernelPattern.String()),
	"Requires.cpu_model":             func(n *node) { n.Pattern, n.MaxLength = modelPattern.String(), maxModel },
	"JobSpec.queue_timeout_ms":       within(QueueRange),
	"AccessTokenRequest.lifetime_ms": func(n *node) { n.Maximum = MaxTokenLifetimeMS },
	"JobSpec.deadline_ms":            within(DeadlineRange),
	"Facts.owner":                    pattern(tokenPattern.String()),
	"Facts.tenants":                  items(maxTenants, pattern(`^(?:\*|[a-z0-9-]{1,40})$`)),
	"Executor.tenants":               items(maxTenants, pattern(`^(?:\*|[a-z0-9-]{1,40})$`)),
	"Requires.features":              items(MaxFeatures, pattern(featurePattern.String())),

	"Outcome.exit_code":    func(n *node) { n.Maximum = 255 },
	"Outcome.signal":       pattern(signalPattern.String()),
	"Outcome.limits_hit":   items(len(LimitNames), enum(LimitNames...)),
	"Span.name":            enum(SpanNames...),
	"Stage.name":           enum(SpanNames...),
	"Output.type":          enum(OutputTypes...),
	"Output.mode":          pattern(outputModePattern.String()),
	"Result.version":       func(n *node) { n.Minimum, n.Const = nil, ResultVersion },
	"Result.outputs":       func(n *node) { n.MaxItems = MaxListedOutputs },
	"Record.spec_inline":   func(n *node) { n.Ref = "job-spec.json" },
	"Record.result_inline": func(n *node) { n.Ref = "result.json" },
	"Event.result_inline":  func(n *node) { n.Ref = "result.json" },
	"Record.v":             func(n *node) { n.Minimum, n.Const = nil, RecordVersion },

	"Callback.url":               address,
	"Record.callback":            address,
	"WebhookSpec.url":            address,
	"WebhookPatch.url":           address,
	"WebhookSpec.events":         items(len(WebhookEvents), enum(WebhookEvents...)),
	"WebhookPatch.events":        items(len(WebhookEvents), enum(WebhookEvents...)),
	"WebhookSpec.secret":         pattern(secretPattern.String()),
	"WebhookRotation.overlap_ms": within(OverlapRange),
	"Webhook.id":                 pattern(webhookIDPattern.String()),
	"WebhookList.webhooks":       func(n *node) { n.MaxItems = MaxWebhooks },
	"Delivery.id":                pattern(deliveryPattern.String()),
	"Delivery.webhook":           pattern(webhookIDPattern.String()),
	"Delivery.state":             enum(DeliveryStates...),
	"DeliveryAttempt.answer":     maxLength(MaxAnswerHead),
	"WebhookLinks.job":           func(*node) {},
	"WebhookData.id":             pattern(campaignPattern.String()), // which ids fit, too
	"WebhookData.jobs":           countsByState,
	"Delivery.campaign":          pattern(campaignPattern.String()),

	"Campaign.name":            pattern(campaignPattern.String()),
	"Campaign.state":           enum(CampaignStates...),
	"Campaign.jobs":            countsByState,
	"CampaignSpec.description": describe,
	"Campaign.description":     describe,
	"CampaignList.campaigns":   func(n *node) { n.MaxItems = MaxCampaigns },

	"AccessToken.id": pattern(tokenIDPattern.String()), "AccessToken.creator": pattern(tokenIDPattern.String()),
	"AccessToken.tenant": pattern(tokenTenantPattern.String()), "AccessToken.name": maxLength(MaxTokenName), "AccessToken.scopes": items(len(Scopes), enum(scopeNames()...)),
	"AccessTokenRecord.id": pattern(tokenIDPattern.String()), "AccessTokenRecord.creator": pattern(tokenIDPattern.String()),
	"AccessTokenRecord.tenant": pattern(tokenTenantPattern.String()), "AccessTokenRecord.name": maxLength(MaxTokenName), "AccessTokenRecord.scopes": items(len(Scopes), enum(scopeNames()...)),
	"NewAccessToken.id": pattern(tokenIDPattern.String()), "NewAccessToken.creator": pattern(tokenIDPattern.String()),
	"NewAccessToken.tenant": pattern(tokenTenantPattern.String()), "NewAccessToken.name": maxLength(MaxTokenName), "NewAccessToken.scopes": items(len(Scopes), enum(scopeNames()...)),
	"AccessTokenRequest.tenant": pattern(tokenTenantPattern.String()), "AccessTokenRequest.name": maxLength(MaxTokenName),
	"AccessTokenRequest.scopes": items(len(Scopes), enum(scopeNames()...)),

	"SweepRequest.grace_ms": func(n *node) { n.Maximum = MaxGraceMS },
	"Garbage.kind":          enum(GarbageKinds...),
	"Garbage.examples":      func(n *node) { n.MaxItems = MaxGarbageExamples },

	"Failure.code":             enum(failureCodes()...),
	"Failure.message":          maxLength(MaxFailureMessage),
	"Job.lost":                 items(len(LostObjects), enum(LostObjects...)),
	"Offering.isolation":       enum(Isolations[1:]...),
	"Executor.state":           enum("up", "draining", "lost"),
	"StreamChange.attempt":     func(*node) {},
	"JobChange.attempt":        func(*node) {},
	"StreamText.base64":        func(n *node) { n.Encoding, n.Pattern = "base64", base64Pattern },
	"MissingRequest.sha256":    items(MaxMissing, pattern(digestPattern)),
	"MissingReply.missing":     items(MaxMissing, pattern(digestPattern)),
	"AccessTokenRecord.v":      func(n *node) { n.Minimum, n.Const = nil, AccessTokenRecordVersion },
	"ProblemDocument.missing":  items(MaxFiles, pattern(digestPattern)),
	"Record.cache_key":         pattern(cacheKeyPattern.String()),
	"Record.follows":           pattern(jobIDPattern.String()),
	"CatalogImage.cache":       enum(CacheUse),
	"ProblemDocument.problems": func(n *node) { n.MaxItems = MaxProblems },
}
