package executor

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

func code(n int) *int { return &n }

func TestOutcome(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		exit   guestproto.Exit
		packed guestproto.Collected
		want   schemas.Outcome
	}{
		"success":   {want: schemas.Outcome{ExitCode: code(0)}},
		"exit code": {exit: guestproto.Exit{Code: 127, Message: "not\nfound"}, want: schemas.Outcome{ExitCode: code(127), Message: "not found"}},
		"signal":    {exit: guestproto.Exit{Signal: 11}, want: schemas.Outcome{Signal: "SIGSEGV"}},
		"real-time": {exit: guestproto.Exit{Signal: 64}, want: schemas.Outcome{Signal: "SIGRTMIN+30"}},
		"limit": {
			exit: guestproto.Exit{Signal: 9, Limit: "wall", LimitsHit: []string{"pids", "wall"}},
			want: schemas.Outcome{Signal: "SIGKILL", Limit: "wall", LimitsHit: []string{"pids", "wall"}},
		},
		"a long log is no limit of the API": {
			exit: guestproto.Exit{Limit: "log", LimitsHit: []string{"log"}},
			want: schemas.Outcome{ExitCode: code(0)},
		},
		"output after another limit": {
			exit:   guestproto.Exit{Code: 1, Limit: "memory", LimitsHit: []string{"memory", "output"}},
			packed: guestproto.Collected{Limit: "output"},
			want:   schemas.Outcome{ExitCode: code(1), Limit: "memory", LimitsHit: []string{"memory", "output"}},
		},
		"output alone": {
			packed: guestproto.Collected{Limit: "output"},
			want:   schemas.Outcome{ExitCode: code(0), Limit: "output", LimitsHit: []string{"output"}},
		},
	} {
		if got := outcome(tc.exit, tc.packed); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// Whatever a guest may say by its protocol, a gateway accepts the outcome.
func TestEveryOutcomeIsAccepted(t *testing.T) {
	t.Parallel()
	all := []string{"cpu", "log", "memory", "output", "pids", "scratch", "wall"}
	for signal := range 65 {
		o := outcome(guestproto.Exit{Signal: signal, Limit: "log", LimitsHit: all, Message: strings.Repeat("\x00\u0085", 500)}, guestproto.Collected{Limit: "output"})
		digest := schemas.Digest(make([]byte, 32))
		e := schemas.Event{Tenant: "t", Nonce: "n", Outcome: &o, Result: &schemas.Object{Name: schemas.ObjectResult, SHA256: digest}}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := schemas.DecodeControl[schemas.Event](text); err != nil {
			t.Errorf("signal %d: %v", signal, err)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("plain", 100)
	f.Add("two\nlines \x1b[31m and \xff\xfe", 64)
	f.Add(strings.Repeat("\u20ac", 400), 100)
	f.Add(strings.Repeat("\xff", 4000), 1024)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = 8 + int(uint(limit)%2048)
		got := oneLine(text, limit)
		if len(got) > limit || strings.ContainsAny(got, "\n\r\x1b\x00") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q of limit %d became %q of %d bytes", text, limit, got, len(got))
		}
		if again := oneLine(got, limit); again != got {
			t.Errorf("%q changes again to %q", got, again)
		}
	})
}
