package chaos

import "slices"

// Steps of a job, in their order.
const (
	stepSubmit  = "submit"
	stepFeed    = "feed"
	stepPull    = "pull"
	stepClaim   = "claim"
	stepStage   = "stage"
	stepRun     = "run"
	stepCollect = "collect"
	stepUpload  = "upload"
	stepReport  = "report"
	stepAccept  = "accept"
	stepWebhook = "webhook"
)

// Components that are struck.
const (
	ofGateway  = "gateway"
	ofExecutor = "executor"
	ofNATS     = "nats"
	ofS3       = "s3"
	ofMachine  = "machine"
	ofGuest    = "guestrd"
)

var (
	steps      = []string{stepSubmit, stepFeed, stepPull, stepClaim, stepStage, stepRun, stepCollect, stepUpload, stepReport, stepAccept, stepWebhook}
	components = []string{ofGateway, ofExecutor, ofNATS, ofS3, ofMachine, ofGuest}
)

// cell is a component in a step.
type cell struct{ component, step string }

// part says in which steps a component has a job in its care. What is not here
// makes no sense: an executor has no part in a submission, and nothing of a job
// that runs is S3's. docs/chaos.md explains each gap.
var part = map[string][]string{
	ofGateway:  {stepSubmit, stepFeed, stepClaim, stepStage, stepRun, stepUpload, stepReport, stepAccept, stepWebhook},
	ofExecutor: {stepPull, stepClaim, stepStage, stepRun, stepCollect, stepUpload, stepReport},
	ofNATS:     {stepSubmit, stepFeed, stepPull, stepClaim, stepStage, stepRun, stepUpload, stepReport, stepAccept, stepWebhook},
	ofS3:       {stepSubmit, stepStage, stepUpload, stepAccept},
	ofMachine:  {stepStage, stepRun, stepCollect},
	ofGuest:    {stepStage, stepRun, stepCollect},
}

func never(component, step string) bool {
	return !slices.Contains(part[component], step) || step == stepWebhook && !callbacks
}

// moment is a job in a step, seen at one process: a gateway's or an executor's name.
type moment struct {
	step string
	// at is the process whose tap saw it; empty for a request to S3, which may be anybody's.
	at string
	// in are the components that have the job in their care.
	in  []string
	job string
}

// callbacks: jobs ask for webhooks.
const callbacks = true
