package guestsuite

import (
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas/guestproto"
)

type (
	exit = guestproto.Exit
	job  = guestproto.Job
)

// argv replaces the shell.
func argv(words ...string) func(*job) { return func(j *job) { j.Argv = words } }

// endings are the ways in which a program ends, or never begins.
func endings() []Case {
	return []Case{
		{Name: "exit 0", Sh: "true"},
		{Name: "exit 3", Sh: "exit 3", Want: exit{Code: 3}},
		{Name: "exit 255", Sh: "exit 255", Want: exit{Code: 255}},
		{Name: "signal", Sh: "kill -TERM $$", Want: exit{Signal: 15}},
		{Name: "killed by itself", Sh: "kill -9 $$", Want: exit{Signal: 9}},
		{Name: "abort", Sh: "kill -ABRT $$", Want: exit{Signal: 6}},
		{Name: "not found in PATH", Job: argv("no-such-program"), Want: exit{Code: 127, NotStarted: true}, Says: "no-such-program: not found"},
		{Name: "not found by path", Job: argv("/no/such"), Want: exit{Code: 127, NotStarted: true}, Says: "/no/such: not found"},
		{Name: "not executable", Job: argv("./data"), Files: map[string]string{"data": "x"}, Want: exit{Code: 126, NotStarted: true}, Says: "permission denied"},
		{Name: "a folder", Job: argv("/bin"), Want: exit{Code: 126, NotStarted: true}, Says: "is a directory"},
		{Name: "no format", Job: argv("./x.sh"), Files: map[string]string{"x.sh": "no shebang"}, Want: exit{Code: 126, NotStarted: true}, Says: "exec format error"},
		{Name: "no interpreter", Job: argv("./x.sh"), Files: map[string]string{"x.sh": "#!/no/such\n"}, Want: exit{Code: 127, NotStarted: true}, Says: "interpreter"},
		{Name: "shebang", Job: argv("./x.sh", "a b"), Files: map[string]string{"x.sh": "#!/bin/sh\necho \"$1\"\n"}, Stdout: "a b\n"},
		{Name: "orphans end with the job", Sh: "sleep 1000 & setsid sleep 1000 & echo x", Stdout: "x\n"},
		{Name: "orphans hold no pipe", Sh: "(trap '' TERM HUP INT; sleep 1000; echo late) & exit 4", Want: exit{Code: 4}},
		{Name: "init can't be killed", Sh: "kill -9 1; kill -TERM 1; kill -QUIT 1; kill -SEGV 1; sleep 0.1; echo alive", Stdout: "alive\n"},
		{Name: "usage is counted", Sh: "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", Check: func(t *testing.T, r Result) {
			if u := r.Exit.Rusage; u.UserUS+u.SysUS == 0 || u.MaxRSS == 0 || r.Exit.WallUS == 0 {
				t.Errorf("rusage %+v", u)
			}
		}},
		{Name: "stdout and stderr", Sh: "echo out; echo err >&2", Stdout: "out\n", Says: "err"},
		{Name: "a gigabyte of stdout", Sh: "dd if=/dev/zero bs=1M count=1024 2>/dev/null; echo done >&2", Says: "done", Check: func(t *testing.T, r Result) {
			if !r.Exit.StdoutTruncated || r.StdoutBytes != 1<<20 || r.Exit.StderrTruncated {
				t.Errorf("%d bytes, exit %+v", r.StdoutBytes, r.Exit)
			}
		}},
		{Name: "log exactly at its limit", Sh: "dd if=/dev/zero bs=1M count=1 2>/dev/null", Check: func(t *testing.T, r Result) {
			if r.Exit.StdoutTruncated || r.StdoutBytes != 1<<20 {
				t.Errorf("%d bytes, exit %+v", r.StdoutBytes, r.Exit)
			}
		}},
		{Name: "many tiny writes", Sh: "i=0; while [ $i -lt 3000 ]; do echo; i=$((i+1)); done", Stdout: strings.Repeat("\n", 3000)},
	}
}
