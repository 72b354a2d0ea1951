package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// flagOf names the flag that sets a field of the specification, or is empty.
func flagOf(pointer string) string {
	return map[string]string{
		"/image": "--image", "/cwd": "--cwd", "/user": "--user", "/lane": "--lane", "/cache": "--cache", "/idempotency_key": "--idempotency-key", "/callback": "--callback", "/callback/url": "--callback",
		"/limits/wall_ms": "--wall", "/limits/cpu_ms": "--cpu-time", "/limits/cpus": "--cpus", "/limits/pids": "--pids",
		"/limits/memory_bytes": "--memory", "/limits/scratch_bytes": "--scratch", "/limits/output_bytes": "--output-limit",
		"/requires/arch": "--arch", "/requires/isolation": "--isolation", "/requires/accel": "--accel",
		"/requires/kernel": "--kernel", "/requires/cpu_model": "--cpu-model", "/queue_timeout_ms": "--queue-timeout", "/deadline_ms": "--deadline", "/requires/executor": "--executor",
	}[pointer]
}

// flagProblems are the problems of a specification that was made of flags, in
// the words and units of the flags.
func flagProblems(problems []schemas.Problem) error {
	lines := []string{"the job is not valid:"}
	for _, p := range problems {
		place := flagOf(p.Pointer)
		if place == "" {
			place = placeWords(p.Pointer)
		}
		lines = append(lines, "  "+place+": "+flagMessage(p))
	}
	return usage(errors.New(strings.Join(lines, "\n")))
}

// flagMessage puts the bounds of sizes and times as a flag takes them.
func flagMessage(p schemas.Problem) string {
	bytes := func(n int64) string { return strings.NewReplacer(" ", "", "iB", "").Replace(formatBytes(n)) }
	span := func(ms int64) string { return withoutZero((time.Duration(ms) * time.Millisecond).String()) }
	known, ok := map[string]struct {
		schemas.Range
		format func(int64) string
	}{
		"/limits/wall_ms": {schemas.WallRange, span}, "/limits/cpu_ms": {schemas.CPUTimeRange, span},
		"/queue_timeout_ms": {schemas.QueueRange, span}, "/deadline_ms": {schemas.DeadlineRange, span},
		"/limits/memory_bytes": {schemas.MemoryRange, bytes}, "/limits/scratch_bytes": {schemas.ScratchRange, bytes},
		"/limits/output_bytes": {schemas.OutputRange, bytes},
	}[p.Pointer]
	if !ok || !strings.HasPrefix(p.Message, fmt.Sprintf("want %d to ", known.Min)) {
		return p.Message
	}
	return fmt.Sprintf("want %s to %s", known.format(known.Min), known.format(known.Max))
}

// hintWords is a gateway's hint with the command in place of the request.
func hintWords(hint string) string {
	request, does, ok := strings.Cut(hint, " ")
	path, does, _ := strings.Cut(does, " ")
	if !ok || request != "GET" {
		return hint
	}
	switch path {
	case "/v1/jobs?state=dead":
		return "pe dead list " + does
	case "/v1/jobs", "/v1/images", "/v1/executors", "/v1/webhooks":
		return "pe " + strings.TrimPrefix(path, "/v1/") + " " + does
	}
	job := strings.TrimPrefix(path, "/v1/jobs/")
	if id, ok := strings.CutSuffix(job, "?wait=30s"); ok {
		return "pe wait " + id + " " + does
	}
	if id, ok := strings.CutSuffix(job, "/outputs"); ok {
		return "pe outputs " + id + " " + strings.TrimPrefix(does, "with Accept: application/json ")
	}
	return hint
}
