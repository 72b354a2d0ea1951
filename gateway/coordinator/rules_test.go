package coordinator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

func running(attempts int, codes ...schemas.FailureCode) *schemas.Record {
	rec := &schemas.Record{Version: schemas.RecordVersion, ID: "j0000000000000000000000001", Tenant: "local", State: schemas.StateQueued}
	r := rules{}
	for i := range attempts {
		r.claim(rec, time.UnixMicro(1), "e1", "n")
		if i < len(codes) {
			rec.Current().Failure = schemas.NewFailure(codes[i], "")
			rec.State = schemas.StateQueued
		}
	}
	return rec
}

func TestFail(t *testing.T) {
	t.Parallel()
	r := rules{maxAttempts: 3, maxHandbacks: 2, maxLosses: 2}
	now := time.UnixMicro(1_000_000_000)
	const handed, lost, guest = schemas.FailHandback, schemas.FailLost, schemas.FailGuest
	for _, test := range []struct {
		name   string
		rec    *schemas.Record
		cancel bool
		code   schemas.FailureCode
		want   schemas.State
		waits  bool
	}{
		{"first", running(1), false, lost, schemas.StateQueued, true},
		{"last", running(3, guest, guest), false, guest, schemas.StateDead, false},
		{"lost once, failed once", running(2, lost), false, guest, schemas.StateQueued, true},
		{"poison: lost twice", running(2, lost), false, lost, schemas.StateDead, false},
		{"poison: lost twice, not in a row", running(4, lost, handed, handed), false, lost, schemas.StateDead, false},
		{"not retryable", running(1), false, schemas.FailImage, schemas.StateDead, false},
		{"handed back", running(1), false, handed, schemas.StateQueued, false},
		{"handed back does not count", running(4, handed, guest, handed), false, lost, schemas.StateQueued, true},
		{"handed back too often counts", running(5, handed, handed, handed, handed), false, handed, schemas.StateDead, false},
		{"cancelled", running(1), true, lost, schemas.StateCancelled, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.rec.Cancel = test.cancel
			r.fail(test.rec, now, schemas.NewFailure(test.code, "why"))
			if test.rec.State != test.want {
				t.Errorf("state %s, want %s", test.rec.State, test.want)
			}
			if waits := test.rec.NotBeforeUS > now.UnixMicro(); waits != test.waits {
				t.Errorf("waits = %v", waits)
			}
			if !schemas.StateRunning.CanBecome(test.rec.State) || (test.rec.EndedUS != 0) != test.rec.State.Terminal() {
				t.Errorf("record = %+v", test.rec)
			}
		})
	}
}

// TestPoisonSaysSo: whoever finds a job that took its executors with it learns that, and what to do.
func TestPoisonSaysSo(t *testing.T) {
	t.Parallel()
	r := rules{maxAttempts: 9, maxLosses: 2}
	rec := running(2, schemas.FailLost)
	r.fail(rec, time.UnixMicro(1), schemas.NewFailure(schemas.FailLost, "executor e2 went silent"))
	for _, want := range []string{"executor e2 went silent", "2 executors were lost with this job", "pe dead retry"} {
		if rec.Failure == nil || rec.Failure.Code != schemas.FailLost || !strings.Contains(rec.Failure.Message, want) {
			t.Errorf("failure %+v does not say %q", rec.Failure, want)
		}
	}
	if last := rec.Attempts[1].Failure.Message; last != "executor e2 went silent" {
		t.Errorf("the attempt's own reason became %q", last)
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	queued := func() *schemas.Record {
		return &schemas.Record{State: schemas.StateQueued, QueuedUS: 1000, QueueTimeoutMS: 2}
	}
	if rec := queued(); (rules{}).expire(rec, time.UnixMicro(2999), "") || rec.State != schemas.StateQueued {
		t.Errorf("expired too early: %+v", rec)
	}
	if rec := queued(); !(rules{}).expire(rec, time.UnixMicro(3000), "why") || rec.State != schemas.StateExpired || rec.EndedUS != 3000 || rec.Failure.Message != "why" {
		t.Errorf("not expired: %+v", rec)
	}
	claimed, forever := queued(), queued()
	rules{}.claim(claimed, time.UnixMicro(2), "e1", "n")
	forever.QueueTimeoutMS = 0
	for _, rec := range []*schemas.Record{claimed, forever, {State: schemas.StateSucceeded, QueueTimeoutMS: 1}} {
		if before := rec.State; (rules{}).expire(rec, time.UnixMicro(1e12), "") || rec.State != before {
			t.Errorf("expired: %+v", rec)
		}
	}
}

// TestDeadlineRules: who would begin, go on or report after the deadline is too late.
func TestDeadlineRules(t *testing.T) {
	t.Parallel()
	r := rules{maxAttempts: 3, maxLosses: 2}
	code := 0
	result := schemas.Event{Outcome: &schemas.Outcome{ExitCode: &code}}
	lost, handed := schemas.NewFailure(schemas.FailLost, "gone"), schemas.NewFailure(schemas.FailHandback, "")
	for _, test := range []struct {
		name string
		now  int64 // the deadline is at 10 s
		step func(rec *schemas.Record, now time.Time)
		want schemas.State
		says string
	}{
		{"a result in time", 9_999_999, func(rec *schemas.Record, now time.Time) { r.accept(rec, now, result) }, schemas.StateSucceeded, ""},
		{"a result too late", 10_000_000, func(rec *schemas.Record, now time.Time) { r.accept(rec, now, result) }, schemas.StateExpired, "its result was on its way"},
		{"lost, with time for another", 5_000_000, func(rec *schemas.Record, now time.Time) { r.fail(rec, now, lost) }, schemas.StateQueued, ""},
		{"lost, without", 9_800_000, func(rec *schemas.Record, now time.Time) { r.fail(rec, now, lost) }, schemas.StateExpired, "after attempt 1 failed: gone"},
		{"handed back, which waits for nothing", 9_800_000, func(rec *schemas.Record, now time.Time) { r.fail(rec, now, handed) }, schemas.StateQueued, ""},
		{"stopped", 10_000_001, func(rec *schemas.Record, now time.Time) { r.fail(rec, now, handed) }, schemas.StateExpired, "attempt 1 was running on e1"},
		{"stopped, and cancelled before", 10_000_001, func(rec *schemas.Record, now time.Time) { rec.Cancel = true; r.fail(rec, now, handed) }, schemas.StateCancelled, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := running(1)
			rec.CreatedUS, rec.DeadlineUS = 1, 10_000_000
			test.step(rec, time.UnixMicro(test.now))
			if rec.State != test.want || !schemas.StateRunning.CanBecome(rec.State) || rec.State.Terminal() != (rec.EndedUS != 0) {
				t.Errorf("record = %+v", rec)
			}
			if test.says != "" && (rec.Failure == nil || rec.Failure.Code != schemas.FailDeadline || !strings.Contains(rec.Failure.Message, test.says)) {
				t.Errorf("failure = %+v", rec.Failure)
			}
			if rec.State == schemas.StateExpired && rec.Outcome != nil {
				t.Error("an expired job has an outcome")
			}
		})
	}
}

// TestRevive: a person brings a job back as often as they like, and its record has room for what comes.
func TestRevive(t *testing.T) {
	t.Parallel()
	r := rules{maxAttempts: 3, maxHandbacks: 10, maxLosses: 2}
	rec := &schemas.Record{Version: schemas.RecordVersion, ID: "j0000000000000000000000001", Tenant: "local", State: schemas.StateQueued}
	data, err := encodeRecord(*rec)
	if err != nil {
		t.Fatal(err)
	}
	rec.Labels = map[string]string{"a": strings.Repeat("x", maxAdmitted-len(data)-len(`,"labels":{"a":""}`))}
	now := time.UnixMicro(1_800_000_000_000_000)
	n := 0
	for round := range 40 {
		for rec.State == schemas.StateQueued {
			n++
			if a := r.claim(rec, now, strings.Repeat("e", 40), strings.Repeat("N", 32)); a.N != n {
				t.Fatalf("attempt %d has number %d", n, a.N)
			}
			code := schemas.FailHandback
			if n%13 > 9 {
				code = schemas.FailGuest
			}
			r.fail(rec, now, schemas.NewFailure(code, strings.Repeat("x", schemas.MaxFailureMessage)))
			data, err := encodeRecord(*rec)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if *rec, err = decodeRecord(schemas.RecordKey(rec.Tenant, rec.ID), data); err != nil {
				t.Fatal(err)
			}
		}
		if rec.State != schemas.StateDead || tallyOf(rec).attempts < r.maxAttempts {
			t.Fatalf("round %d: %s after %+v", round, rec.State, tallyOf(rec))
		}
		if err := r.revive(rec, now); err != nil || rec.Forgiven != n || rec.State != schemas.StateQueued {
			t.Fatalf("revive: %v, forgiven %d", err, rec.Forgiven)
		}
	}
	rec.State, rec.DeadlineUS = schemas.StateDead, now.UnixMicro()
	if err := r.revive(rec, now); !errors.Is(err, ErrDeadlineOver) || rec.State != schemas.StateDead {
		t.Errorf("past its deadline: %v", err)
	}
}

func TestAcceptCancelled(t *testing.T) {
	t.Parallel()
	rec := running(1)
	rec.Cancel = true
	code := 0
	rules{}.accept(rec, time.UnixMicro(5), schemas.Event{Outcome: &schemas.Outcome{ExitCode: &code}, Result: &schemas.Object{}})
	if rec.State != schemas.StateCancelled || rec.Outcome != nil || rec.Result != nil {
		t.Errorf("record = %+v", rec)
	}
}

// TestAttemptNumbersRise: the number is the fence, so none comes twice.
func TestAttemptNumbersRise(t *testing.T) {
	t.Parallel()
	rec := running(3, schemas.FailLost, schemas.FailLost)
	for i, a := range rec.Attempts {
		if a.N != i+1 {
			t.Errorf("attempt %d has number %d", i, a.N)
		}
	}
}

// TestRecordFits: no history makes a record too large to be written.
func TestRecordFits(t *testing.T) {
	t.Parallel()
	rec := running(13)
	for i := range rec.Attempts {
		rec.Attempts[i].Failure = schemas.NewFailure(schemas.FailInternal, strings.Repeat("x", schemas.MaxFailureMessage))
	}
	rec.Labels = map[string]string{}
	for i := range 16 {
		rec.Labels[strings.Repeat("k", 62)+string(rune('a'+i))] = strings.Repeat("v", 63)
	}
	data, err := encodeRecord(*rec)
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Attempts[0].Failure.Message) != schemas.MaxFailureMessage {
		t.Error("encoding changed the record")
	}
	if got, err := decodeRecord(schemas.RecordKey(rec.Tenant, rec.ID), data); err != nil || len(got.Attempts) != 13 {
		t.Errorf("decodeRecord = %v", err)
	}
}

// TestAdmittedRecordFits: what was admitted can be written to its very end.
func TestAdmittedRecordFits(t *testing.T) {
	t.Parallel()
	rec := &schemas.Record{Version: schemas.RecordVersion, ID: "j0000000000000000000000001", Tenant: "local", State: schemas.StateQueued}
	now := time.UnixMicro(1_800_000_000_000_000)
	data, err := encodeRecord(*rec)
	if err != nil {
		t.Fatal(err)
	}
	rec.Labels = map[string]string{"a": strings.Repeat("x", maxAdmitted-len(data)-len(`,"labels":{"a":""}`))}
	if data, err = encodeRecord(*rec); err != nil || len(data) != maxAdmitted {
		t.Fatalf("record has %d bytes: %v", len(data), err)
	}
	failure := schemas.NewFailure(schemas.FailLost, strings.Repeat("\x01", schemas.MaxFailureMessage))
	for range 13 {
		rec.NotBeforeUS = now.UnixMicro()
		rules{}.claim(rec, now, strings.Repeat("e", 40), strings.Repeat("N", 32))
		rec.Current().Failure, rec.Current().EndedUS = failure, now.UnixMicro()
	}
	dead := *rec
	dead.State, dead.EndedUS, dead.NotBeforeUS, dead.Failure = schemas.StateDead, now.UnixMicro(), now.UnixMicro(), failure
	code := 255
	object := &schemas.Object{Name: schemas.ObjectArchive, Size: 1 << 62, SHA256: schemas.Digest(make([]byte, 32))}
	failed := *rec
	failed.State, failed.EndedUS, failed.Result, failed.Archive = schemas.StateFailed, now.UnixMicro(), object, object
	failed.Outcome = &schemas.Outcome{
		ExitCode: &code, Signal: "SIGVTALRM", Limit: schemas.LimitScratch, LimitsHit: schemas.LimitNames,
		Message: strings.Repeat("\u2028", 600),
	}
	for _, end := range []schemas.Record{dead, failed} {
		data, err := encodeRecord(end)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRecord(schemas.RecordKey(end.Tenant, end.ID), data); err != nil {
			t.Error(err)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"plain", `"\\`, "\n\x00\x7f", "<&>", "é€😀", "\u2028\xff\ufffd"} {
		for room := range 40 {
			data, err := marshalRecord(schemas.Record{Lane: clip(s, room)})
			empty, _ := marshalRecord(schemas.Record{})
			if got := len(data) - len(empty); err != nil || got > room {
				t.Errorf("%q clipped to %d takes %d bytes: %v", s, room, got, err)
			}
		}
	}
}
