package guestsuite

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Surroundings are what a job is given: environment, folder, user, stdin, names, clock.
func Surroundings() []Case {
	return []Case{
		{Name: "env is complete", Job: func(j *job) { j.Argv = []string{"env"}; j.Env = []string{"A=1", "PATH=/bin", "HOME=/x"} }, Stdout: "A=1\nPATH=/bin\nHOME=/x\n"},
		{Name: "home of the user", Job: func(j *job) { j.Argv = []string{"/bin/env"}; j.Env = nil }, Contains: "HOME=/root\n"},
		{Name: "cwd", Sh: "pwd; touch here", Job: func(j *job) { j.Cwd = "/a/b/c" }, Stdout: "/a/b/c\n"},
		{Name: "cwd belongs to the user", Sh: "stat -c %u:%g:%a:%Y /a /a/b; touch /a/b/x && echo ok", Job: func(j *job) { j.Cwd = "/a/b"; j.User = "1000:1000" }, Stdout: "1000:1000:755:0\n1000:1000:755:0\nok\n"},
		{Name: "cwd is a file", Sh: "pwd", Job: func(j *job) { j.Cwd = "/bin/sh" }, Want: exit{Code: 126, NotStarted: true}, Says: "/bin/sh"},
		{Name: "root", Sh: "id -u; id -g", Stdout: "0\n0\n"},
		{Name: "user by number", Sh: "id -u; id -g", Job: func(j *job) { j.User = "1234:99" }, Stdout: "1234\n99\n"},
		{Name: "user by name", Sh: "id -u; echo $HOME", Job: func(j *job) { j.User = "root" }, Stdout: "0\n/root\n"},
		{Name: "unknown user", Sh: "id", Job: func(j *job) { j.User = "nobody-here" }, Want: exit{Code: 126, NotStarted: true}, Says: "nobody-here"},
		{Name: "unknown group", Sh: "id", Job: func(j *job) { j.User = "0:none-such" }, Want: exit{Code: 126, NotStarted: true}, Says: "none-such"},
		{Name: "user out of range", Sh: "id", Job: func(j *job) { j.User = "100000" }, Want: exit{Code: 126, NotStarted: true}, Says: "100000"},
		{Name: "no stdin", Sh: "cat; echo $?", Stdout: "0\n"},
		{Name: "stdin", Sh: "wc -c; cat", Stdin: strings.Repeat("0123456789", 100_000), Stdout: "1000000\n"},
		{Name: "stdin not read", Sh: "exit 5", Stdin: strings.Repeat("x", 3<<20), Want: exit{Code: 5}},
		{Name: "stdin read in part", Sh: "head -c 3", Stdin: strings.Repeat("abc", 1<<20), Stdout: "abc"},
		{Name: "stdin from a file", Sh: "cat", Files: map[string]string{"in/data": "hello"}, Job: func(j *job) {
			j.Stdin = guestproto.Stdin{Via: guestproto.ViaFile, Path: "in/data"}
		}, Stdout: "hello"},
		{Name: "stdin from no file", Sh: "cat", Job: func(j *job) {
			j.Stdin = guestproto.Stdin{Via: guestproto.ViaFile, Path: "none"}
		}, Want: exit{Code: 126, NotStarted: true}, Says: "stdin"},
		{Name: "names", Sh: "hostname; cat /etc/hostname; wc -c < /etc/machine-id; grep -c $(hostname) /etc/hosts", Check: func(t *testing.T, r Result) {
			lines := strings.Fields(r.Stdout)
			if len(lines) != 4 || lines[0] != lines[1] || lines[2] != "33" || lines[3] != "1" {
				t.Errorf("names %q", lines)
			}
		}},
		{Name: "clock", Sh: "date +%s", Check: func(t *testing.T, r Result) {
			got, _ := strconv.ParseInt(strings.TrimSpace(r.Stdout), 10, 64)
			if d := time.Since(time.Unix(got, 0)); d < -3*time.Second || d > 10*time.Second {
				t.Errorf("the job's clock is off by %s", d)
			}
		}},
		{Name: "devices", Sh: "head -c 4 /dev/zero | wc -c; echo x > /dev/null; head -c 8 /dev/urandom | wc -c; head -c 8 /dev/random | wc -c; echo y > /dev/shm/f && cat /dev/shm/f; echo z > /dev/full || echo full; ls /dev/fd/ >/dev/null && echo fd; test -c /dev/pts/ptmx && echo ptmx", Stdout: "4\n8\n8\ny\nfull\nfd\nptmx\n"},
		{Name: "limits of processes", Sh: "ulimit -c; ulimit -n; umask", Stdout: "0\n1024\n0022\n"},
		{Name: "loopback is up", Sh: "echo hello | nc -l -p 7777 >/dev/null & i=0; until nc 127.0.0.1 7777 </dev/null; do i=$((i+1)); test $i -lt 50 || exit 1; sleep 0.1; done 2>/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '", Stdout: "hello\nlo\n"},
		{Name: "owners in the image", Sh: "stat -c %u:%g /bin /bin/sh /etc /", Stdout: "0:0\n0:0\n0:0\n0:0\n"},
		{Name: "the image can be written over", Sh: "echo x > /bin/new && rm /bin/ls && ! test -e /bin/ls && mkdir /new && echo ok", Stdout: "ok\n"},
		{Name: "nothing of it stays", Sh: "test -e /bin/ls && ! test -e /bin/new && ! test -e /new && ! test -e /work/here && echo ok", Stdout: "ok\n"},
	}
}
