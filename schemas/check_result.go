package schemas

import (
	"regexp"
	"slices"
	"strings"
)

// Bounds of what an executor reports. They are wide: what breaks them is broken or hostile.
const (
	maxSpans      = 32
	maxName       = 256 // executor's words for machines, kernels and processors
	maxLine       = 2048
	maxShownPath  = 3 * MaxPathBytes // every byte replaced by U+FFFD
	maxShownStdio = 3 * StdioHead
)

var (
	signalPattern     = regexp.MustCompile(`^SIG[A-Z0-9]{1,12}(?:\+[0-9]{1,2})?$`)
	outputModePattern = regexp.MustCompile(`^0?[0-7]{3,4}$`)
)

// OutputTypes lists what an output can be.
var OutputTypes = []string{"file", "dir", "symlink"}

func (ps *problems) atLeast(at pointer, least int64, v int64) {
	if v < least {
		ps.add(at, "want at least %d; it is %d", least, v)
	}
}

func (ps *problems) atMost(at pointer, most int, s string) {
	if len(s) > most {
		ps.add(at, "has %d bytes; at most %d", len(s), most)
	}
}

func (ps *problems) require(at pointer, ok bool, want string) {
	if !ok {
		ps.add(at, "want %s", want)
	}
}

func (ps *problems) oneOf(at pointer, v string, allowed []string) {
	if !slices.Contains(allowed, v) {
		ps.add(at, "want one of %s", strings.Join(allowed, ", "))
	}
}

func (ps *problems) digest(at pointer, s string) {
	_, err := ParseDigest(s)
	ps.require(at, err == nil, "sha256: and 64 hex digits")
}

func (r *Result) check(ps *problems) {
	ps.require("/version", r.Version == ResultVersion, "the version that this program writes")
	ps.require("/job", ValidJobID(r.Job), "a job's id")
	ps.atLeast("/attempt", 1, int64(r.Attempt))
	r.Outcome.check(ps, "/outcome")
	r.Usage.check(ps, "/usage")
	ps.require("/spans", len(r.Spans) <= maxSpans, "at most 32")
	for i, s := range r.Spans[:min(len(r.Spans), maxSpans)] {
		s.check(ps, pointer("/spans").item(i))
	}
	r.RanOn.check(ps, "/ran_on")
	r.Stdout.check(ps, "/stdout")
	r.Stderr.check(ps, "/stderr")
	r.checkOutputs(ps)
	checkObject(ps, "/archive", r.Archive, ObjectArchive)
	checkObject(ps, "/index", r.Index, ObjectIndex)
}

func (r *Result) checkOutputs(ps *problems) {
	ps.atLeast("/outputs_total", int64(len(r.Outputs)), int64(r.OutputsTotal))
	ps.atLeast("/outputs_bytes", 0, r.OutputsBytes)
	ps.atLeast("/skipped_total", int64(len(r.Skipped)), int64(r.SkippedTotal))
	if len(r.Outputs) > MaxListedOutputs || len(r.Skipped) > MaxListedOutputs {
		ps.add("/outputs", "want at most %d listed", MaxListedOutputs)
		return
	}
	for i, o := range r.Outputs {
		o.check(ps, pointer("/outputs").item(i))
	}
	for i, s := range r.Skipped {
		ps.atMost(pointer("/skipped").item(i).member("path"), maxShownPath, s.Path)
		ps.atMost(pointer("/skipped").item(i).member("reason"), maxLine, s.Reason)
	}
}

func (o Outcome) check(ps *problems, at pointer) {
	ps.require(at, o.ExitCode != nil || o.Signal != "" || o.Limit != "", "an exit code, a signal or a limit")
	if o.ExitCode != nil {
		ps.require(at.member("exit_code"), *o.ExitCode >= 0 && *o.ExitCode <= 255, "0 to 255")
	}
	if o.Signal != "" {
		ps.require(at.member("signal"), signalPattern.MatchString(o.Signal), "a signal's name: SIGSEGV")
	}
	if o.Limit != "" {
		ps.oneOf(at.member("limit"), o.Limit, LimitNames)
	}
	if len(o.LimitsHit) > len(LimitNames) {
		ps.add(at.member("limits_hit"), "want at most %d", len(LimitNames))
		return
	}
	for i, l := range o.LimitsHit {
		ps.oneOf(at.member("limits_hit").item(i), l, LimitNames)
	}
	ps.atMost(at.member("message"), maxLine, o.Message)
}

func (u Usage) check(ps *problems, at pointer) {
	ps.atLeast(at.member("user_us"), 0, u.UserUS)
	ps.atLeast(at.member("system_us"), 0, u.SystemUS)
	ps.atLeast(at.member("max_rss_bytes"), 0, u.MaxRSSBytes)
	ps.atLeast(at.member("peak_memory_bytes"), 0, u.PeakMemoryBytes)
	ps.atLeast(at.member("host_cpu_us"), 0, u.HostCPUUS)
}

func (s Span) check(ps *problems, at pointer) {
	ps.oneOf(at.member("name"), s.Name, SpanNames)
	ps.atLeast(at.member("start_us"), 0, s.StartUS)
	ps.atLeast(at.member("end_us"), s.StartUS, s.EndUS)
}

func (r RanOn) check(ps *problems, at pointer) {
	ps.require(at.member("executor"), ValidToken(r.Executor), "an executor's id")
	ps.oneOf(at.member("arch"), r.Arch, Archs)
	ps.oneOf(at.member("isolation"), r.Isolation, Isolations)
	ps.atMost(at.member("cpu_model"), maxName, r.CPUModel)
	if r.Accel != "" {
		ps.oneOf(at.member("accel"), r.Accel, Accels)
	}
	ps.atMost(at.member("kernel"), maxName, r.Kernel)
	ps.digest(at.member("image_digest"), r.ImageDigest)
	ps.atMost(at.member("guest_digest"), maxName, r.GuestDigest)
	ps.atLeast(at.member("machine_bytes"), 0, r.MachineBytes)
}

func (s Stdio) check(ps *problems, at pointer) {
	ps.atMost(at.member("text"), maxShownStdio, s.Text)
	ps.atMost(at.member("base64"), StdioHead/3*4+4, s.Base64)
	validateBase64(ps, at.member("base64"), s.Base64)
	ps.atLeast(at.member("bytes"), 0, s.Bytes)
}

func (o Output) check(ps *problems, at pointer) {
	ps.require(at.member("path"), o.Path != "" && len(o.Path) <= maxShownPath, "a path")
	ps.atMost(at.member("path_base64"), 2*MaxPathBytes, o.PathBase64)
	validateBase64(ps, at.member("path_base64"), o.PathBase64)
	ps.oneOf(at.member("type"), o.Type, OutputTypes)
	ps.atLeast(at.member("size"), 0, o.Size)
	ps.require(at.member("mode"), outputModePattern.MatchString(o.Mode), "octal digits")
	if o.SHA256 != "" {
		ps.digest(at.member("sha256"), o.SHA256)
	}
	ps.atMost(at.member("media_type"), maxName, o.MediaType)
	ps.atMost(at.member("link"), maxShownPath, o.Link)
}

// checkObject allows nil, and else only an object of this name.
func checkObject(ps *problems, at pointer, o *Object, name string) {
	if o == nil {
		return
	}
	ps.require(at.member("name"), o.Name == name, name)
	ps.atLeast(at.member("size"), 0, o.Size)
	ps.digest(at.member("sha256"), o.SHA256)
}
