package canned

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// script is what a job does.
type script struct {
	stdout, stderr []string
	outcome        schemas.Outcome
	state          schemas.State
	failure        *schemas.Failure
	outputs        []*tar.Header // Linkname holds a file's content
	skipped        []schemas.Skipped
	// endless jobs run until they are cancelled, or for this long.
	endless  bool
	patience time.Duration
	// deaf jobs are not ended by cancelling them.
	deaf bool
	// flaky streams break off after each output.
	flaky bool
	// again runs a second attempt; gap loses bytes.
	again bool
	gap   int64
	// lost results are not in the store, nor are logs and outputs.
	lost bool
}

// write makes the script that an image's name stands for:
//
//	echo        prints its arguments
//	dump        prints the specification as the program would see it
//	exit N      writes to stderr and exits
//	signal S    dies by a signal
//	limit L     dies by a limit
//	missing     is not in the image
//	dead        the platform fails
//	expired     waits too long
//	late        is not done by its deadline
//	outputs     leaves files
//	hostile K   leaves an entry of that kind
//	skips       leaves what is not collected
//	flaky       has a stream that breaks off
//	again       is run twice
//	gap         loses output
//	lost        ends well, and then the store loses what it left
//	slow        runs until it is cancelled
//	chatty      writes a megabyte, and runs until it is cancelled
//	stuck       runs on though it is cancelled
//	uname       prints the architecture, and leaves files that differ by it
//	picky       succeeds on amd64, exits with 3 on arm64, dies on riscv64
//	long        prints more than a result's head, and then the architecture
//	amd64only   is refused elsewhere, and prints its arguments
func write(spec schemas.JobSpec) script {
	zero := 0
	s := script{outcome: schemas.Outcome{ExitCode: &zero}, patience: 20 * time.Second}
	arg := strings.Join(spec.Args, " ")
	switch spec.Image {
	case "uname":
		s.stdout, s.outputs = []string{spec.Requires.Arch + "\n"}, archOutputs(spec.Requires.Arch)
	case "long":
		s.stdout = []string{strings.Repeat("the same line\n", 10_000), spec.Requires.Arch + "\n"}
	case "picky":
		s.stderr, s.outcome = []string{"trying\n"}, pickyEnd(spec.Requires.Arch)
	case "echo", "amd64only":
		s.stdout = []string{arg + "\n"}
	case "dump":
		s.stdout = dump(spec)
	case "exit":
		code, _ := strconv.Atoi(arg)
		s.stdout, s.stderr, s.outcome.ExitCode = []string{"no newline"}, []string{"it went wrong\n"}, &code
	case "signal":
		s.outcome = schemas.Outcome{Signal: arg}
	case "limit":
		s.outcome = schemas.Outcome{Signal: "SIGKILL", Limit: arg, LimitsHit: []string{arg}}
	case "missing":
		code := 127
		s.outcome = schemas.Outcome{ExitCode: &code, Message: arg + ": not found in PATH"}
	case "dead":
		s.state, s.failure = schemas.StateDead, schemas.NewFailure(schemas.FailGuest, "the guest went silent 3 times")
	case "expired":
		s.state = schemas.StateExpired
	case "late":
		s.state, s.failure = schemas.StateExpired, schemas.NewFailure(schemas.FailDeadline, "its deadline, 1m0s after its submission, passed while attempt 1 was running on local")
	case "outputs":
		s.outputs = ordinaryOutputs()
	case "hostile":
		s.outputs = hostileOutput(arg)
	case "skips":
		s.skipped = []schemas.Skipped{{Path: "pipe\n", Reason: "neither file, folder nor symlink"}}
	case "flaky":
		s.stdout, s.flaky = []string{"one\n", "two\n", "three\n"}, true
	case "again":
		s.stdout, s.again = []string{"from the beginning\n"}, true
	case "gap":
		s.stdout, s.gap = []string{"after the gap\n"}, 1000
	case "lost":
		s.stdout, s.lost = []string{"begun\n"}, true
	case "slow":
		s.stdout, s.endless = []string{"started\n"}, true
	case "stuck":
		s.stdout, s.endless, s.deaf = []string{"started\n"}, true, true
	case "chatty":
		s.stdout, s.endless = slices.Repeat([]string{strings.Repeat("x", 9999) + "\n"}, 100), true
	}
	return s
}

func archOutputs(arch string) []*tar.Header {
	list := []*tar.Header{entry(tar.TypeReg, "same.txt", "same\n", 0o644), entry(tar.TypeReg, "a.out", arch, 0o755)}
	if arch == "amd64" {
		list = append(list, entry(tar.TypeReg, "extra\n.txt", "x", 0o644))
	}
	return list
}

func pickyEnd(arch string) schemas.Outcome {
	code := 0
	switch arch {
	case "riscv64":
		return schemas.Outcome{Signal: "SIGSEGV"}
	case "arm64":
		code = 3
	}
	return schemas.Outcome{ExitCode: &code}
}

func dump(spec schemas.JobSpec) []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format+"\n", args...)) }
	if spec.Callback != nil {
		say("callback %s", spec.Callback.URL)
	}
	if spec.Entrypoint != nil {
		say("entrypoint %q", *spec.Entrypoint)
	}
	say("args %q", spec.Args)
	say("env %v", spec.Env)
	if spec.Stdin != nil {
		say("stdin %s", content(spec.Stdin.Text, spec.Stdin.Base64, spec.Stdin.File))
	}
	names := make([]string, 0, len(spec.Files))
	for name := range spec.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		f := spec.Files[name]
		say("file %s %s %s", name, f.Mode, content(f.Text, f.Base64, f.SHA256[:min(len(f.SHA256), 12)]))
	}
	say("outputs %q limits %+v queue timeout %d deadline %d", spec.Outputs, spec.Limits, spec.QueueTimeoutMS, spec.DeadlineMS)
	requires, _ := json.Marshal(spec.Requires) // strings alone
	say("requires %s lane %s labels %v user %s cwd %s", requires, spec.Lane, spec.Labels, spec.User, spec.Cwd)
	return lines
}

func content(text, b64 *string, other string) string {
	switch {
	case text != nil:
		return strconv.Quote(*text)
	case b64 != nil:
		data, _ := base64.StdEncoding.DecodeString(*b64)
		return fmt.Sprintf("%x", data)
	}
	return other
}

func entry(kind byte, name, linkOrContent string, mode int64) *tar.Header {
	return &tar.Header{Typeflag: kind, Name: name, Linkname: linkOrContent, Mode: mode, ModTime: time.UnixMicro(epoch)}
}

func ordinaryOutputs() []*tar.Header {
	return []*tar.Header{
		entry(tar.TypeReg, "a.out", "#!/bin/sh\necho hello\n", 0o755),
		entry(tar.TypeDir, "plots/", "", 0o555),
		entry(tar.TypeReg, "plots/one.txt", "1\n", 0o444),
		entry(tar.TypeSymlink, "latest", "plots/one.txt", 0o777),
		entry(tar.TypeReg, "new\nline\x1b[31m.txt", "x", 0o644),
	}
}

// hostileOutput is what a gateway never sends.
func hostileOutput(kind string) []*tar.Header {
	switch kind {
	case "dotdot":
		return []*tar.Header{entry(tar.TypeReg, "../escaped", "x", 0o644)}
	case "absolute":
		return []*tar.Header{entry(tar.TypeReg, "/tmp/escaped", "x", 0o644)}
	case "link":
		return []*tar.Header{entry(tar.TypeSymlink, "l", "../..", 0o777)}
	case "absolute-link":
		return []*tar.Header{entry(tar.TypeSymlink, "l", "/etc/passwd", 0o777)}
	case "through-link":
		return []*tar.Header{entry(tar.TypeSymlink, "l", ".", 0o777), entry(tar.TypeSymlink, "l/m", "../x", 0o777)}
	case "winding-link":
		return []*tar.Header{entry(tar.TypeSymlink, "l", "a/../../b", 0o777)}
	case "device":
		return []*tar.Header{entry(tar.TypeChar, "null", "", 0o666)}
	case "fifo":
		return []*tar.Header{entry(tar.TypeFifo, "pipe", "", 0o666)}
	case "hardlink":
		return []*tar.Header{entry(tar.TypeLink, "h", "/etc/passwd", 0o666)}
	}
	return []*tar.Header{entry(tar.TypeReg, "a", "x", 0o4755), entry(tar.TypeReg, "a/b", "x", 0o644)}
}
