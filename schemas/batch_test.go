package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestDecodeBatch(t *testing.T) {
	t.Parallel()
	many := strings.TrimSuffix(strings.Repeat(`{},`, MaxBatchJobs+1), ",")
	for _, test := range []struct{ body, pointer string }{
		{`{"jobs":[{"image":"a"},{}],"mode":"each"}`, ""},
		{`{"jobs":[{"image":"a","what":3}]}`, ""}, // a specification's own problems are told later
		{`{}`, "/jobs"},
		{`{"jobs":[]}`, "/jobs"},
		{`{"jobs":[` + many + `]}`, "/jobs"},
		{`{"jobs":[{}],"mode":"some"}`, "/mode"},
		{`{"jobs":[{}],"mode":3}`, "/mode"},
		{`{"jobs":[{},"x"]}`, "/jobs/1"},
		{`{"jobs":[null]}`, "/jobs/0"},
		{`{"jobs":[{}],"job":1}`, "/job"},
	} {
		_, problems, err := DecodeBatch(strings.NewReader(test.body))
		if err != nil {
			t.Errorf("%.100s: %v", test.body, err)
			continue
		}
		if test.pointer == "" && len(problems) > 0 || test.pointer != "" && (len(problems) == 0 || problems[0].Pointer != test.pointer) {
			t.Errorf("%.100s: %v, want %q", test.body, problems, test.pointer)
		}
	}
	if _, _, err := DecodeBatch(strings.NewReader(`{"jobs":[`)); !errors.As(err, new(*SyntaxError)) {
		t.Errorf("broken off: %v", err)
	}
	if _, _, err := DecodeBatch(strings.NewReader(strings.Repeat(" ", MaxBatchBytes+1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestInBatch(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(InBatch(3, []Problem{{Pointer: "/args/0", Message: "m"}, {Message: "n"}}))
	if want := "[{/jobs/3/args/0 m} {/jobs/3 n}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzDecodeBatch(f *testing.F) {
	addSamples(f, "job-batch")
	for _, seed := range []string{`{"jobs":[{"image":"a"}]}`, `{"jobs":[[]],"mode":"all"}`, `[`, `null`, `{"jobs":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, problems, err := DecodeBatch(strings.NewReader(string(data)))
		if err != nil || len(problems) > 0 {
			return
		}
		if n := len(b.Jobs); n < 1 || n > MaxBatchJobs {
			t.Fatalf("%d jobs accepted", n)
		}
		for _, raw := range b.Jobs {
			if !json.Valid(raw) || raw[0] != '{' {
				t.Fatalf("accepted as a job: %s", raw)
			}
		}
	})
}
