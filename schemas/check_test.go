package schemas

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// edited returns a golden sample with one member replaced; the path has dots.
func edited(t *testing.T, sample, path string, v any) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/golden/" + sample + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	at, parts := doc, strings.Split(path, ".")
	for _, p := range parts[:len(parts)-1] {
		at = at[p].(map[string]any)
	}
	at[parts[len(parts)-1]] = v
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantProblem(t *testing.T, what string, err error, pointer string) {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("%s: accepted, or another error: %v", what, err)
		return
	}
	for _, p := range invalid.Problems {
		if p.Pointer == pointer {
			return
		}
	}
	t.Errorf("%s: %v, want a problem at %q", what, invalid.Problems, pointer)
}

func TestDecodeResultRefuses(t *testing.T) {
	t.Parallel()
	object := map[string]any{"name": "spec.json", "size": 1, "sha256": "sha256:" + strings.Repeat("0", 64)}
	for path, c := range map[string]struct {
		v       any
		pointer string
	}{
		"version": {2, "/version"}, "job": {"j1", "/job"}, "attempt": {0, "/attempt"}, "outcome": {map[string]any{}, "/outcome"},
		"outcome.exit_code": {256, "/outcome/exit_code"}, "outcome.signal": {"kill -9", "/outcome/signal"}, "outcome.limit": {"luck", "/outcome/limit"},
		"outcome.message": {strings.Repeat("x", 3000), "/outcome/message"}, "usage.user_us": {-1, "/usage/user_us"},
		"spans":         {[]any{map[string]any{"name": "slept", "start_us": 2, "end_us": 1}}, "/spans/0/name"},
		"ran_on.arch":   {"vax", "/ran_on/arch"},
		"stdout.text":   {strings.Repeat("x", 4*StdioHead), "/stdout/text"},
		"outputs":       {[]any{map[string]any{"path": "", "type": "fifo", "size": 0, "mode": "0644"}}, "/outputs/0/type"},
		"outputs_total": {0, "/outputs_total"}, "archive": {object, "/archive/name"}, "index": {object, "/index/name"},
		"outputs_bytes": {"many", "/outputs_bytes"}, "extra": {1, "/extra"}, "archive.sha256": {"abc", "/archive/sha256"},
	} {
		_, err := DecodeResult(strings.NewReader(string(edited(t, "result.full", path, c.v))))
		wantProblem(t, path, err, c.pointer)
	}
	if _, err := DecodeResult(strings.NewReader(strings.Repeat(" ", MaxResultBytes+1))); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestDecodeControlRefuses(t *testing.T) {
	t.Parallel()
	const job = `"job":"j01h8x3vz9k6tqc2n4m5p7r0sa","tenant":"local"`
	_, err := DecodeControl[Claim]([]byte(`{"job":"../../x","tenant":"a.b","nonce":""}`))
	wantProblem(t, "claim", err, "/job")
	for _, nonce := range []string{strings.Repeat("A", 33), "\u2028", `\"`} {
		_, err = DecodeControl[Claim]([]byte(`{` + job + `,"nonce":"` + nonce + `"}`))
		wantProblem(t, "claim's nonce", err, "/nonce")
	}
	_, err = DecodeControl[Offer]([]byte(`{` + job + `,"extra":1}`))
	wantProblem(t, "offer", err, "/extra")
	_, err = DecodeControl[Sign]([]byte(`{` + job + `,"attempt":1,"put":[{"name":"../spec.json","size":-1,"sha256":"x"}]}`))
	wantProblem(t, "sign", err, "/put/0/name")
	_, err = DecodeControl[Sign]([]byte(`{` + job + `,"attempt":1,"get":["` + strings.Repeat(`x","`, MaxSigned) + `"]}`))
	wantProblem(t, "sign much", err, "")
	_, err = DecodeControl[Event](edited(t, "event.result", "failure", map[string]any{"code": "guest", "message": "", "retryable": true}))
	wantProblem(t, "event of both", err, "")
	_, err = DecodeControl[Event](edited(t, "event.failed", "failure.code", "bad-luck"))
	wantProblem(t, "event of an unknown code", err, "/failure/code")
	_, err = DecodeControl[Facts](edited(t, "facts.vm", "offers", []any{map[string]any{"arch": "amd64", "isolation": "strong"}}))
	wantProblem(t, "facts", err, "/offers/0/isolation")
	_, err = DecodeControl[Facts](edited(t, "facts.vm", "slots", 1_000_000))
	wantProblem(t, "slots", err, "/slots")
	_, err = DecodeControl[Beat]([]byte(`{"instance":"a","slots":1,"busy":0,"held":[{"tenant":"*","job":">","attempt":0}]}`))
	wantProblem(t, "beat", err, "/held/0")
	_, err = DecodeControl[LogsReply]([]byte(`{"data":"` + strings.Repeat("AAAA", MaxLogChunk/3+1) + `","end":1}`))
	wantProblem(t, "log", err, "/data")
	_, err = DecodeControl[Stage]([]byte(`{"name":"napping","at_us":0}`))
	wantProblem(t, "stage", err, "/name")
	_, err = DecodeRecord(edited(t, "record.full", "state", "lost"))
	wantProblem(t, "record", err, "/state")
	var syntax *SyntaxError
	if _, err = DecodeControl[Claim]([]byte(`{"job"`)); !errors.As(err, &syntax) {
		t.Error(err)
	}
	if _, err = DecodeControl[Claim](make([]byte, MaxControlBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// TestEmptyListsAreLists: readers in other languages get what the schema says.
func TestEmptyListsAreLists(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		`{"jobs":[]}`: JobList{}, `{"images":[]}`: ImageList{}, `{"outputs":[]}`: OutputList{}, `{"missing":[]}`: MissingReply{}, `{"sha256":[]}`: MissingRequest{},
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	for _, v := range []any{Result{}, &Job{Result: &Result{}}, ExecutorList{Executors: []Executor{{}}}, ExecutorList{}} {
		if got, err := json.Marshal(v); err != nil || strings.Contains(string(got), "null") {
			t.Errorf("%s, %v", got, err)
		}
	}
}
