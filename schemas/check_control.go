package schemas

import (
	"slices"
	"strings"
)

// Bounds of what an executor may say of itself.
const (
	maxSlots    = 4096
	maxOffers   = 64
	maxReported = 1024 // features of a processor
	maxNonce    = 32
	maxTenants  = 256
)

func (ps *problems) jobOf(tenant, job string) {
	ps.require("/tenant", ValidToken(tenant), "a tenant's name")
	ps.require("/job", ValidJobID(job), "a job's id")
}

func (ps *problems) nonce(s string) {
	// It becomes part of the record, whose size must not be the executor's choice.
	ps.require("/nonce", s != "" && len(s) <= maxNonce && !strings.ContainsFunc(s, notNonce), "1 to 32 letters, digits, - and _")
}

func notNonce(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}

func (o *Offer) check(ps *problems) { ps.jobOf(o.Tenant, o.Job) }

func (c *Claim) check(ps *problems) {
	ps.jobOf(c.Tenant, c.Job)
	ps.nonce(c.Nonce)
}

func (s *Sign) check(ps *problems) {
	ps.jobOf(s.Tenant, s.Job)
	ps.atLeast("/attempt", 1, int64(s.Attempt))
	if len(s.Get) > MaxSigned || len(s.Put) > len(AttemptObjects) {
		ps.add("", "want at most %d to get and %d to put", MaxSigned, len(AttemptObjects))
		return
	}
	for i, digest := range s.Get {
		ps.digest(pointer("/get").item(i), digest)
	}
	for i, o := range s.Put {
		at := pointer("/put").item(i)
		ps.oneOf(at.member("name"), o.Name, AttemptObjects)
		ps.atLeast(at.member("size"), 0, o.Size)
		ps.digest(at.member("sha256"), o.SHA256)
	}
}

func (f *Facts) check(ps *problems) {
	ps.require("/executor", ValidToken(f.Executor), "an executor's id")
	ps.require("/instance", f.Instance != "" && len(f.Instance) <= maxName, "1 to 256 bytes")
	ps.require("/slots", f.Slots >= 0 && f.Slots <= maxSlots, "0 to 4096")
	ps.atLeast("/cpus", 0, int64(f.CPUs))
	ps.atLeast("/memory_bytes", 0, f.MemoryBytes)
	for name, s := range map[string]string{
		"version": f.Version, "host_arch": f.HostArch, "host_os": f.HostOS, "host_kernel": f.HostKernel, "cpu_model": f.CPUModel,
	} {
		ps.atMost(pointer("").member(name), maxName, s)
	}
	validateLabels(ps, "/labels", f.Labels)
	ps.require("/owner", f.Owner == "" || ValidToken(f.Owner), "a tenant's name")
	ps.require("/tenants", len(f.Tenants) <= maxTenants && !slices.ContainsFunc(f.Tenants, notTenant), "at most 256 tenants' names, or *")
	if len(f.Offers) > maxOffers {
		ps.add("/offers", "want at most %d", maxOffers)
		return
	}
	for i, o := range f.Offers {
		o.check(ps, pointer("/offers").item(i))
	}
}

func notTenant(s string) bool { return s != AnyTenant && !ValidToken(s) }

func (p *Pools) check(ps *problems) {
	for name, priority := range p.Pools {
		ps.require(pointer("/pools").member(name), ValidToken(name) && priority >= 0 && priority <= MaxSurplus, "a pool's name and a priority of 0 to 9")
	}
}

func (o Offering) check(ps *problems, at pointer) {
	ps.oneOf(at.member("arch"), o.Arch, Archs)
	// Strong is what a job asks for, not what a machine is.
	ps.oneOf(at.member("isolation"), o.Isolation, Isolations[1:])
	if o.Accel != "" {
		ps.oneOf(at.member("accel"), o.Accel, Accels)
	}
	ps.atMost(at.member("accel_reason"), maxLine, o.AccelReason)
	ps.atMost(at.member("kernel"), maxName, o.Kernel)
	ps.atMost(at.member("cpu_model"), maxName, o.CPUModel)
	ps.require(at.member("features"), len(o.Features) <= maxReported && !slices.ContainsFunc(o.Features, func(f string) bool { return len(f) > maxName }),
		"at most 1024 short names")
}

func (h Held) checkAt(ps *problems, at pointer) {
	ps.require(at, ValidToken(h.Tenant) && ValidJobID(h.Job) && h.Attempt >= 1, "a tenant, a job's id and an attempt from 1")
}

func (b *Beat) check(ps *problems) {
	ps.require("/instance", b.Instance != "" && len(b.Instance) <= maxName, "1 to 256 bytes")
	ps.atLeast("/slots", 0, int64(b.Slots))
	ps.atLeast("/busy", 0, int64(b.Busy))
	for i, h := range b.Held[:min(len(b.Held), maxSlots)] {
		h.checkAt(ps, pointer("/held").item(i))
	}
	ps.require("/held", len(b.Held) <= maxSlots, "at most 4096")
}

func (s *Stop) check(ps *problems) { s.checkAt(ps, "") }

func (l *LogsRequest) check(ps *problems) {
	l.checkAt(ps, "")
	ps.oneOf("/stream", l.Stream, []string{LiveStdout, LiveStderr})
	ps.atLeast("/offset", 0, l.Offset)
}

func (l *LogsReply) check(ps *problems) {
	ps.require("/data", len(l.Data) <= MaxLogChunk, "at most 256 KiB")
	ps.atLeast("/end", 0, l.End)
}

func (l *LogChunk) check(ps *problems) {
	ps.require("/data", len(l.Data) <= MaxLogChunk, "at most 256 KiB")
	ps.atLeast("/offset", 0, l.Offset)
}

func (s *Stage) check(ps *problems) {
	ps.oneOf("/name", s.Name, SpanNames)
	ps.atLeast("/at_us", 0, s.AtUS)
	ps.atMost("/detail", maxLine, s.Detail)
}

func (e *Event) check(ps *problems) {
	ps.require("/tenant", ValidToken(e.Tenant), "a tenant's name")
	ps.nonce(e.Nonce)
	ps.atLeast("/at_us", 0, e.AtUS)
	ps.require("", (e.Outcome == nil) != (e.Failure == nil), "either an outcome or a failure")
	if e.Outcome != nil {
		e.Outcome.check(ps, "/outcome")
		ps.require("/result", (e.Result != nil) != (e.ResultInline != nil), "the result or its object, one of the two, beside an outcome")
	}
	if e.Failure != nil {
		e.Failure.check(ps, "/failure")
	}
	ps.require("/result_inline", e.ResultInline == nil || e.Outcome != nil && len(e.ResultInline) <= MaxInline, "at most 2 KiB, beside an outcome")
	checkObject(ps, "/result", e.Result, ObjectResult)
	checkObject(ps, "/archive", e.Archive, ObjectArchive)
	checkObject(ps, "/index", e.Index, ObjectIndex)
}

func (r *Report) check(ps *problems) {
	ps.require("/job", ValidJobID(r.Job), "a job's id")
	ps.atLeast("/attempt", 1, int64(r.Attempt))
	r.Event.check(ps)
}

// Kind is what the event reports.
func (e *Event) Kind() EventKind {
	if e.Outcome != nil {
		return EventResult
	}
	return EventFailed
}

func (f *Failure) check(ps *problems, at pointer) {
	ps.require(at.member("code"), slices.Contains(FailureCodes, f.Code), "a known code")
	ps.atMost(at.member("message"), MaxFailureMessage, f.Message)
}

func (r *Record) check(ps *problems) {
	ps.require("/v", r.Version == RecordVersion, "the version that this program writes")
	ps.require("/id", ValidJobID(r.ID), "a job's id")
	ps.require("/tenant", ValidToken(r.Tenant), "a tenant's name")
	ps.require("/state", r.State.Valid(), "a known state")
	ps.require("/lane", validLane(r.Lane), "a known lane")
	ps.require("/pool", ValidToken(r.Pool), "a pool's name")
	ps.require("/spec", (r.Spec.Name == "") == (r.SpecInline != nil), "the specification or its object, one of the two")
	ps.require("/result", r.Result == nil || r.ResultInline == nil, "the result or its object, not both")
	if r.Callback != "" {
		validateURL(ps, "/callback", r.Callback)
	}
	for i, a := range r.Attempts {
		ps.require(pointer("/attempts").item(i), a.N >= 1 && ValidToken(a.Executor), "a number from 1 and an executor's id")
	}
	r.checkCache(ps)
}

func (r *Record) checkCache(ps *problems) {
	ps.require("/cache_key", r.CacheKey == "" || cacheKeyPattern.MatchString(r.CacheKey), "an epoch, a dot and 64 hex digits")
	ps.require("/follows", r.Follows == "" || ValidJobID(r.Follows), "a job's id")
	if r.Source != nil {
		ps.require("/source", ValidJobID(r.Source.Job) && r.Source.Attempt >= 1, "a job's id and an attempt from 1")
	}
}
