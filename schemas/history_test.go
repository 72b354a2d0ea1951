package schemas

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

func endedJob(created int64, n int) HistoryJob {
	id, err := NewJobID(time.UnixMicro(created), strings.NewReader(fmt.Sprintf("%016d", n)))
	if err != nil {
		panic(err)
	}
	return HistoryJob{Revision: uint64(n) + 1, Record: Record{
		Version: RecordVersion, ID: id, Tenant: "alice", State: StateSucceeded, Lane: LaneBatch, CreatedUS: created,
		EndedUS: created + 5, Labels: map[string]string{"n": "<" + fmt.Sprint(n) + ">"}, Attempts: []Attempt{{N: 1, Executor: "e1"}},
	}}
}

func TestHistoryRoundTrip(t *testing.T) {
	t.Parallel()
	var jobs []HistoryJob
	for i := range MaxHistoryJobs {
		jobs = append(jobs, endedJob(int64(1_700_000_000_000_000+i/2), i)) // two of each instant
	}
	shuffled := append([]HistoryJob(nil), jobs...)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	data, err := EncodeHistory("alice", shuffled)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeHistory("alice", data)
	if err != nil || !reflect.DeepEqual(got, jobs) {
		t.Errorf("%d jobs came back, %v", len(got), err)
	}
	if _, err := EncodeHistory("alice", append(jobs, endedJob(1, 999))); !errors.Is(err, ErrHistoryTooLarge) {
		t.Errorf("too many jobs: %v", err)
	}
}

// TestHistoryTooLarge: what can't be compressed does not fit however few jobs it is of.
func TestHistoryTooLarge(t *testing.T) {
	t.Parallel()
	noise := rand.New(rand.NewPCG(1, 2))
	var jobs []HistoryJob
	for i := range MaxHistoryJobs {
		job, text := endedJob(int64(i), i), make([]byte, 6<<10)
		for i := range text {
			text[i] = byte(' ' + noise.IntN(90))
		}
		job.Record.Callback = string(text)
		jobs = append(jobs, job)
	}
	if _, err := EncodeHistory("alice", jobs); !errors.Is(err, ErrHistoryTooLarge) {
		t.Errorf("err = %v", err)
	}
}

func TestHistoryRefuses(t *testing.T) {
	t.Parallel()
	page := func(lines ...string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, strings.Join(lines, "\n")+"\n")
		z.Close()
		return b.Bytes()
	}
	good, err := EncodeHistory("alice", []HistoryJob{endedJob(1, 1), endedJob(2, 2)})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := inflateHistory(good)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for name, data := range map[string][]byte{
		"empty":           nil,
		"another tenant":  page(strings.Replace(lines[0], "alice", "bob", 1), lines[1], lines[2]),
		"another's job":   page(lines[0], strings.Replace(lines[1], `"alice"`, `"bob"`, 1), lines[2]),
		"a job short":     page(lines[0], lines[1]),
		"twice the same":  page(lines[0], lines[1], lines[1]),
		"out of order":    page(lines[0], lines[2], lines[1]),
		"another version": page(strings.Replace(lines[0], `"v":1`, `"v":2`, 1), lines[1], lines[2]),
		"not ended":       page(lines[0], strings.Replace(lines[1], `"succeeded"`, `"running"`, 1), lines[2]),
		"dead":            page(lines[0], strings.Replace(lines[1], `"succeeded"`, `"dead"`, 1), lines[2]),
		"no revision":     page(lines[0], strings.Replace(lines[1], `"rev":2`, `"rev":0`, 1), lines[2]),
		"a long line":     page(lines[0], lines[1]+strings.Repeat(" ", maxHistoryLine), lines[2]),
		"empty lines":     page(lines[0], lines[1], lines[2]+strings.Repeat("\n", 1<<20)),
		"a bomb":          page(strings.Repeat(" ", maxHistoryText+1)),
		"cut off":         good[:len(good)-5],
		"a flipped bit":   append(append([]byte(nil), good[:len(good)-6]...), good[len(good)-6]^1, good[len(good)-5], good[len(good)-4], good[len(good)-3], good[len(good)-2], good[len(good)-1]),
	} {
		if jobs, err := DecodeHistory("alice", data); err == nil {
			t.Errorf("%s: %d jobs", name, len(jobs))
		}
	}
	if jobs, err := DecodeHistory("alice", page(lines...)); err != nil || len(jobs) != 2 {
		t.Errorf("the page that the others are made of: %d jobs, %v", len(jobs), err)
	}
}

func TestHistoryKey(t *testing.T) {
	t.Parallel()
	if tenant, n, err := ParseHistoryKey(HistoryKey("a-1", 12)); tenant != "a-1" || n != 12 || err != nil {
		t.Errorf("%q, %d, %v", tenant, n, err)
	}
	for _, key := range []string{"", "a", "a.p", "a.p0", "a.p01", "a.p-1", ".p1", "A.p1", "a.b.p1", "a.p1.p2"} {
		if _, _, err := ParseHistoryKey(key); err == nil {
			t.Errorf("%q is taken for a page", key)
		}
	}
}

func TestJobIDParts(t *testing.T) {
	t.Parallel()
	for range 1000 {
		id, err := NewJobID(time.UnixMilli(rand.Int64N(1<<41)), strings.NewReader(fmt.Sprintf("%016x", rand.Uint64())))
		if err != nil {
			t.Fatal(err)
		}
		if got := SplitJobID(id).JobID(); got != id {
			t.Fatalf("%s became %s", id, got)
		}
	}
	if id := "j" + strings.Repeat("z", 25); SplitJobID(id).JobID() != id {
		t.Errorf("%s became %s", id, SplitJobID(id).JobID())
	}
}

func FuzzDecodeHistory(f *testing.F) {
	good, err := EncodeHistory("alice", []HistoryJob{endedJob(1, 1), endedJob(2, 2)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		jobs, err := DecodeHistory("alice", data)
		if err != nil {
			return
		}
		again, err := EncodeHistory("alice", jobs)
		if err != nil {
			return // what was packed better may not fit
		}
		if got, err := DecodeHistory("alice", again); err != nil || len(got) != len(jobs) {
			t.Errorf("%d jobs became %d: %v", len(jobs), len(got), err)
		}
	})
}
