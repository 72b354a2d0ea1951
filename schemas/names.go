package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// Streams and buckets.
const (
	StreamJobs   = "JOBS"
	StreamEvents = "REPORTS"
	BucketJobs   = "jobs"
	BucketPools  = "pools"
	BucketExecs  = "executors"
	BucketTokens = "tokens"
	BucketCache  = "cache"
	// BucketWebhooks holds tenants' webhooks, BucketDeliveries what is sent to them.
	BucketWebhooks   = "webhooks"
	BucketDeliveries = "deliveries"
	// BucketCampaigns holds tenants' campaigns.
	BucketCampaigns = "campaigns"
	// BucketSweep holds who sweeps the object store, and what sweeps counted.
	BucketSweep = "sweep"
	// BucketHistory holds the records of jobs that ended some time ago, by the page.
	BucketHistory = "history"
	OffersAll     = "jobs.q.>"
	EventsAll     = "evt.>"
)

// OfferSubject is where a job is offered.
func OfferSubject(pool, lane, tenant, job string) string {
	return strings.Join([]string{"jobs.q", pool, lane, tenant, job}, ".")
}

// OfferFilter selects all offers of a pool and lane.
func OfferFilter(pool, lane string) string { return "jobs.q." + pool + "." + lane + ".>" }

// ConsumerName is the durable consumer of a pool and lane.
func ConsumerName(pool, lane string) string { return pool + "_" + lane }

// ParseOffer takes an offer's subject apart.
func ParseOffer(subject string) (pool, lane, tenant, job string, err error) {
	p := strings.Split(subject, ".")
	if len(p) != 6 || p[0] != "jobs" || p[1] != "q" || !ValidToken(p[2]) || !validLane(p[3]) || !ValidToken(p[4]) || !ValidJobID(p[5]) {
		return "", "", "", "", fmt.Errorf("subject %.120q is no offer", subject)
	}
	return p[2], p[3], p[4], p[5], nil
}

func validLane(s string) bool { return s == LaneInteractive || s == LaneBatch }

// Requests from executor to gateway: ctl.<verb>.<executor>.
const (
	VerbHello  = "hello"
	VerbBeat   = "beat"
	VerbClaim  = "claim"
	VerbSign   = "sign"
	VerbReport = "report"
)

// ControlSubject is where an executor asks a gateway; "*" for any executor.
func ControlSubject(verb, executor string) string { return "ctl." + verb + "." + executor }

// ParseControl returns verb and executor of a control subject.
func ParseControl(subject string) (verb, executor string, err error) {
	p := strings.Split(subject, ".")
	if len(p) != 3 || p[0] != "ctl" || !ValidToken(p[2]) {
		return "", "", fmt.Errorf("subject %.120q is no control request", subject)
	}
	return p[1], p[2], nil
}

// Requests from gateway to executor: cmd.<executor>.<verb>.
const (
	CommandStop  = "stop"  // [Stop] → [StopReply], once the attempt has ended
	CommandLogs  = "logs"  // [LogsRequest] → [LogsReply]
	CommandPools = "pools" // [Pools], no answer
)

// CommandSubject is where an executor listens for a command.
func CommandSubject(executor, verb string) string { return "cmd." + executor + "." + verb }

// EventKind says what an event on the synced stream reports.
type EventKind string

// Kinds of events.
const (
	// EventResult: the attempt ended with an outcome.
	EventResult EventKind = "result"
	// EventFailed: the attempt ended with the platform's failure, or was handed back.
	EventFailed EventKind = "failed"
)

// EventSubject is where an executor reports the end of an attempt.
func EventSubject(executor, job string, attempt int, kind EventKind) string {
	return strings.Join([]string{"evt", executor, job, strconv.Itoa(attempt), string(kind)}, ".")
}

// ParseEvent takes an event's subject apart.
func ParseEvent(subject string) (executor, job string, attempt int, kind EventKind, err error) {
	p := strings.Split(subject, ".")
	if len(p) == 5 && p[0] == "evt" && ValidToken(p[1]) && ValidJobID(p[2]) {
		attempt, err = strconv.Atoi(p[3])
		if kind = EventKind(p[4]); err == nil && attempt > 0 && (kind == EventResult || kind == EventFailed) {
			return p[1], p[2], attempt, kind, nil
		}
	}
	return "", "", 0, "", fmt.Errorf("subject %.120q is no event", subject)
}

// Kinds of live messages, which pass core NATS and are lost if nobody listens.
const (
	LiveStdout = "stdout"
	LiveStderr = "stderr"
	LiveStage  = "stage"
)

// LiveSubject is where an executor sends what happens in an attempt as it happens.
func LiveSubject(executor, job string, attempt int, kind string) string {
	return strings.Join([]string{"live", executor, job, strconv.Itoa(attempt), kind}, ".")
}

// LiveFilter selects everything live of one job.
func LiveFilter(job string) string { return "live.*." + job + ".*.*" }

// ParseLive takes a live subject apart.
func ParseLive(subject string) (executor, job string, attempt int, kind string, err error) {
	p := strings.Split(subject, ".")
	if len(p) == 5 && p[0] == "live" && ValidToken(p[1]) && ValidJobID(p[2]) {
		if attempt, err = strconv.Atoi(p[3]); err == nil && attempt > 0 && (p[4] == LiveStdout || p[4] == LiveStderr || p[4] == LiveStage) {
			return p[1], p[2], attempt, p[4], nil
		}
	}
	return "", "", 0, "", fmt.Errorf("subject %.120q is no live message", subject)
}

// RecordKey is a job's key in the bucket.
func RecordKey(tenant, job string) string { return tenant + "." + job }

// ParseRecordKey takes a record's key apart.
func ParseRecordKey(key string) (tenant, job string, err error) {
	tenant, job, ok := strings.Cut(key, ".")
	if !ok || !ValidToken(tenant) || !ValidJobID(job) {
		return "", "", fmt.Errorf("key %.120q is no job's", key)
	}
	return tenant, job, nil
}

// HistoryKey is the key of a tenant's n-th page of history, from 1.
func HistoryKey(tenant string, n uint64) string { return fmt.Sprintf("%s.p%d", tenant, n) }

// ParseHistoryKey takes a page's key apart.
func ParseHistoryKey(key string) (tenant string, n uint64, err error) {
	tenant, page, ok := strings.Cut(key, ".p")
	if ok && ValidToken(tenant) {
		n, err = strconv.ParseUint(page, 10, 64)
	}
	if err != nil || n == 0 || HistoryKey(tenant, n) != key {
		return "", 0, fmt.Errorf("key %.120q is no page of history", key)
	}
	return tenant, n, nil
}

// CacheEntryKey is the key of a result in the bucket of the cache; key is a
// [Record.CacheKey].
func CacheEntryKey(tenant, key string) string { return tenant + "." + key }

// CacheEpochKey is the key of a tenant's present epoch in that bucket. Entries
// of other epochs are none.
func CacheEpochKey(tenant string) string { return tenant }

// NewCacheKey is what a result may be kept under: see [Record.CacheKey].
func NewCacheKey(epoch int64, hash string) string { return strconv.FormatInt(epoch, 10) + "." + hash }

// Base names of an attempt's objects.
const (
	ObjectResult  = "result.json"
	ObjectArchive = "outputs.tar.zst"
	ObjectIndex   = "outputs.json"
	ObjectStdout  = "stdout.zst"
	ObjectStderr  = "stderr.zst"
)

// AttemptObjects lists the base names that an executor may write.
var AttemptObjects = []string{ObjectResult, ObjectArchive, ObjectIndex, ObjectStdout, ObjectStderr}

// InputKey is the object key of a tenant's input; sum is plain hex.
func InputKey(tenant, sum string) string { return tenant + "/in/" + sum }

// JobPrefix begins the keys of all objects of a job, but for its inputs.
func JobPrefix(tenant, job string) string { return tenant + "/jobs/" + job + "/" }

// SpecKey is the object key of a job's specification.
func SpecKey(tenant, job string) string { return tenant + "/jobs/" + job + "/spec.json" }

// SpecKey is the object key of the record's specification, if that is an object.
// Of two submissions under one idempotency key each writes an object of its own,
// so the name is not always spec.json.
func (r *Record) SpecKey() string {
	return r.Tenant + "/jobs/" + r.ID + "/" + r.Spec.Name
}

// AttemptKey is the object key of one object of an attempt.
func AttemptKey(tenant, job string, attempt int, name string) string {
	return fmt.Sprintf("%s/jobs/%s/%d/%s", tenant, job, attempt, name)
}
