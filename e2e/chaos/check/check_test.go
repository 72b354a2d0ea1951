package check_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/e2e/chaos/check"
)

// failed is a failure as a record holds one.
var failed = json.RawMessage(`{"code":"executor-lost","message":"gone"}`)

const digest = "sha256:00"

func job(id string) check.JobName { return check.JobName{Tenant: "alice", Job: id} }

// sound is a run that kept every promise: a job that succeeded at its second
// attempt, one that was cancelled, one that was brought back from the dead, and
// one that shares the first one's result.
func sound() *check.History {
	spec := check.Named{Name: "spec.json", Size: 2, SHA256: digest}
	result := &check.Named{Name: "result.json", Size: 3, SHA256: digest}
	lost := check.Attempt{N: 1, Executor: "one", Nonce: "a", EndedUS: 5, Failure: failed}
	good := check.Attempt{N: 2, Executor: "two", Nonce: "b", EndedUS: 9}

	queued := check.Record{ID: "j1", Tenant: "alice", State: "queued", Spec: spec}
	running := queued
	running.State, running.Attempts = "running", []check.Attempt{{N: 1, Executor: "one", Nonce: "a"}}
	done := queued
	done.State, done.Attempts, done.EndedUS = "succeeded", []check.Attempt{lost, good}, 9
	done.Outcome, done.Result = &check.Outcome{}, result

	cancelled := check.Record{ID: "j2", Tenant: "alice", State: "cancelled", Spec: spec, EndedUS: 4}
	dead := check.Record{ID: "j3", Tenant: "alice", State: "dead", SpecInline: json.RawMessage(`{}`), Attempts: []check.Attempt{lost}, EndedUS: 5}
	revived := dead
	revived.State, revived.EndedUS, revived.Attempts, revived.Forgiven = "failed", 9, []check.Attempt{lost, good}, 1
	revived.Outcome, revived.ResultInline = &check.Outcome{ExitCode: 1}, json.RawMessage(`{}`)
	shared := check.Record{ID: "j4", Tenant: "alice", State: "succeeded", SpecInline: json.RawMessage(`{}`), EndedUS: 10,
		Outcome: &check.Outcome{}, Result: result, Source: &check.Source{Job: "j1", Attempt: 2}}

	// The first job's record is an older copy of it; the sixth one's has gone from the bucket.
	old := done
	old.PurgedUS, old.Result = 9, nil
	paged := check.Record{ID: "j6", Tenant: "alice", State: "failed", SpecInline: json.RawMessage(`{}`), Attempts: []check.Attempt{{N: 1, Executor: "one", Nonce: "a", EndedUS: 6}}, EndedUS: 6,
		Outcome: &check.Outcome{ExitCode: 3}, ResultInline: json.RawMessage(`{}`)}

	// The server has found it on its disk, as it was before it came into the page.
	back := paged
	back.State, back.EndedUS, back.Outcome, back.Rev = "running", 0, nil, 13

	return &check.History{
		Pages: []check.Page{page("alice", jobAt{8, old}, jobAt{14, paged})},
		Accepted: []check.Accepted{
			{JobName: job("j1"), Key: "k1", Callback: true}, {JobName: job("j1"), Key: "k1"},
			{JobName: job("j2")}, {JobName: job("j3"), Callback: true}, {JobName: job("j4")}, {JobName: job("j5")}, {JobName: job("j6")},
		},
		Revisions: []check.Revision{
			{Key: "alice.j1", Rev: 1, Record: &queued}, {Key: "alice.j1", Rev: 3, Record: &running}, {Key: "alice.j1", Rev: 9, Record: &done},
			{Key: "alice.j3", Rev: 4, Record: &dead}, {Key: "alice.j3", Rev: 7, Record: &revived},
			{Key: "alice.j4", Rev: 10, Record: &shared},
			{Key: "alice.j5", Rev: 11, Record: &check.Record{ID: "j5", Tenant: "alice", State: "dead"}}, {Key: "alice.j5", Rev: 12, Deleted: true},
			{Key: "alice.j6", Rev: 14, Record: &paged},
		},
		Final: []check.Record{done, cancelled, revived, shared, back},
		Objects: []check.Object{
			{Key: "alice/jobs/j1/spec.json", Size: 2, SHA256: digest}, {Key: "alice/jobs/j1/2/result.json", Size: 3, SHA256: digest},
			{Key: "alice/jobs/j2/spec.json", Size: 2, SHA256: digest}, {Key: "alice/in/00", Size: 1, SHA256: digest},
		},
		Swept: true,
		Receipts: []check.Receipt{
			{ID: "w1", JobName: job("j1"), State: "succeeded", Status: 500}, {ID: "w1", JobName: job("j1"), State: "succeeded", Status: 204},
			{ID: "w2", JobName: job("j3"), State: "dead", Status: 200}, {ID: "w3", JobName: job("j3"), State: "failed", Status: 200},
		},
		Retried: []check.Asked{{JobName: job("j3"), Done: true}},
		Dropped: []check.Asked{{JobName: job("j5"), Done: true}},
		Usages:  []check.Usage{{Tenant: "alice", StoredBytes: 8}, {Tenant: "bob", StoredBytes: -1}},
	}
}

func TestSoundRunHasNoViolation(t *testing.T) {
	if found := check.Check(sound()); len(found) > 0 {
		t.Errorf("a sound run breaks %v", found)
	}
}

// TestPlantedViolations: every promise, broken in a sound run, is found, under its rule.
func TestPlantedViolations(t *testing.T) {
	plants := []struct {
		name string
		rule string
		do   func(*check.History)
	}{
		{"an accepted job has vanished", check.RuleLost, func(h *check.History) { h.Dropped = nil }},
		{"a job still waits", check.RuleOpen, func(h *check.History) { h.Final[1].State, h.Final[1].EndedUS = "queued", 0 }},
		{"a job still runs", check.RuleOpen, func(h *check.History) { h.Final[1].State, h.Final[1].EndedUS = "running", 0 }},
		{"an ended job ran again", check.RuleTransition, func(h *check.History) { again(h, "running") }},
		{"an ended job was queued again", check.RuleTransition, func(h *check.History) { again(h, "queued") }},
		{"a job succeeded and then failed", check.RuleTwoEnds, func(h *check.History) { again(h, "failed") }},
		{"a job ended a second time", check.RuleTwoEnds, func(h *check.History) { h.Final[0].EndedUS = 11 }},
		{"a dead job came back by itself", check.RuleTwoEnds, func(h *check.History) { h.Retried = nil }},
		{"a succeeded job came back as a person asked", check.RuleTransition, func(h *check.History) { again(h, "queued"); retried(h, "j1", true) }},
		{"a cancelled job ran as a person asked", check.RuleTransition, func(h *check.History) {
			h.Revisions = append(h.Revisions, check.Revision{Key: "alice.j2", Rev: 20, Record: &check.Record{ID: "j2", Tenant: "alice", State: "cancelled"}})
			h.Final[1].State = "running"
			retried(h, "j2", false)
		}},
		{"a dead job came back more often than was asked", check.RuleTwoEnds, func(h *check.History) {
			back, twice := *h.Revisions[3].Record, *h.Revisions[3].Record
			back.State = "queued"
			h.Revisions = append(h.Revisions, check.Revision{Key: "alice.j3", Rev: 5, Record: &back}, check.Revision{Key: "alice.j3", Rev: 6, Record: &twice})
		}},
		{"a dead job was not brought back", check.RuleDead, func(h *check.History) { h.Final[2].Forgiven = 0 }},
		{"a dropped job stays", check.RuleDead, func(h *check.History) { h.Final = append(h.Final, *h.Revisions[6].Record) }},
		{"a job was removed unasked", check.RuleDead, func(h *check.History) {
			h.Revisions = append(h.Revisions, check.Revision{Key: "alice.j2", Rev: 20, Deleted: true})
		}},
		{"a dropped job came back", check.RuleDead, func(h *check.History) {
			h.Revisions = append(h.Revisions, check.Revision{Key: "alice.j5", Rev: 20, Record: h.Revisions[6].Record}, check.Revision{Key: "alice.j5", Rev: 21, Deleted: true})
		}},
		{"an attempt has vanished", check.RuleAttempts, func(h *check.History) { attempts(h)[0].N, attempts(h)[1].N = 2, 3 }},
		{"attempts are not numbered one by one", check.RuleAttempts, func(h *check.History) { attempts(h)[1].N = 3 }},
		{"an attempt changed hands", check.RuleAttempts, func(h *check.History) { attempts(h)[0].Executor = "three" }},
		{"an attempt was claimed twice", check.RuleAttempts, func(h *check.History) { attempts(h)[0].Nonce = "c" }},
		{"two attempts were accepted", check.RuleAccepted, func(h *check.History) { attempts(h)[0].Failure = nil }},
		{"no attempt was accepted", check.RuleAccepted, func(h *check.History) { attempts(h)[1].Failure = failed }},
		{"a success with an exit code", check.RuleAccepted, func(h *check.History) { h.Final[0].Outcome = &check.Outcome{ExitCode: 1} }},
		{"a success without an outcome", check.RuleAccepted, func(h *check.History) { h.Final[0].Outcome = nil }},
		{"a cancelled job with an outcome", check.RuleAccepted, func(h *check.History) { h.Final[1].Outcome = &check.Outcome{} }},
		{"one key made two jobs", check.RuleKey, func(h *check.History) { h.Accepted[2].Key = "k1" }},
		{"two keys made one job", check.RuleKey, func(h *check.History) { h.Accepted[1].Key = "k2" }},
		{"a result is gone", check.RuleObject, func(h *check.History) { h.Objects = slices.Delete(h.Objects, 1, 2) }},
		{"a result is another", check.RuleObject, func(h *check.History) { h.Objects[1].SHA256 = "sha256:01" }},
		{"a specification is gone", check.RuleObject, func(h *check.History) { h.Objects = slices.Delete(h.Objects, 2, 3) }},
		{"outputs are gone", check.RuleObject, func(h *check.History) { h.Final[0].Archive = &check.Named{Size: 1, SHA256: digest} }},
		{"an outcome without a result", check.RuleObject, func(h *check.History) { h.Final[2].ResultInline = nil }},
		{"an object of a lost attempt stays", check.RuleOrphan, func(h *check.History) { object(h, "alice/jobs/j1/1/result.json") }},
		{"an object of a purged job stays", check.RuleOrphan, func(h *check.History) { h.Final[0].PurgedUS, h.Final = 11, h.Final[:3] }},
		{"an object of no job", check.RuleOrphan, func(h *check.History) { object(h, "alice/jobs/j9/spec.json") }},
		{"a dry run after the sweep finds garbage", check.RuleOrphan, func(h *check.History) {
			h.Unreferenced = []check.Unreferenced{{Tenant: "alice", Kind: "spec", Objects: 1, Example: "alice/jobs/j1/spec-2.json"}}
		}},
		{"a job is in no page any more", check.RuleLost, func(h *check.History) { h.Pages, h.Final = nil, h.Final[:4] }},
		{"a page is cut off", check.RulePage, func(h *check.History) { h.Pages[0].Value = h.Pages[0].Value[:40] }},
		{"a page is no page", check.RulePage, func(h *check.History) { h.Pages[0].Value = []byte("{}") }},
		{"a page's last bytes are others", check.RulePage, func(h *check.History) { h.Pages[0].Value[len(h.Pages[0].Value)-5] ^= 1 }},
		{"a page has fewer jobs than it says", check.RulePage, func(h *check.History) { repage(h, `{"v":1,"tenant":"alice","jobs":3}`) }},
		{"a page of another tenant lies under the key", check.RulePage, func(h *check.History) { repage(h, `{"v":1,"tenant":"bob","jobs":2}`) }},
		{"a page is of another version", check.RulePage, func(h *check.History) { repage(h, `{"v":2,"tenant":"alice","jobs":2}`) }},
		{"a job in a page runs again", check.RuleOpen, func(h *check.History) { h.Final[4].Rev = 15 }},
		{"a page has no key of one", check.RulePage, func(h *check.History) { h.Pages[0].Key = "alice.j6" }},
		{"a job in a page runs", check.RulePage, func(h *check.History) {
			h.Pages = append(h.Pages, inPage(check.Record{ID: "j7", Tenant: "alice", State: "running"}))
		}},
		{"a dead job is in a page", check.RulePage, func(h *check.History) {
			h.Pages = append(h.Pages, inPage(check.Record{ID: "j7", Tenant: "alice", State: "dead"}))
		}},
		{"a page has another tenant's job", check.RulePageTenant, func(h *check.History) {
			h.Pages = append(h.Pages, inPage(check.Record{ID: "j7", Tenant: "bob", State: "cancelled"}))
		}},
		{"a job is in two pages", check.RuleTwoPages, func(h *check.History) { h.Pages = append(h.Pages, h.Pages[0]) }},
		{"a job is in one page twice", check.RuleTwoPages, func(h *check.History) {
			r := *h.Revisions[8].Record
			h.Pages = []check.Page{page("alice", jobAt{14, r}, jobAt{14, r})}
		}},
		{"a job in a page ended twice", check.RuleTwoEnds, func(h *check.History) { r := *h.Revisions[8].Record; r.EndedUS = 7; h.Pages = []check.Page{inPage(r)} }},
		{"a page has another end than the record", check.RuleOldPage, func(h *check.History) {
			r := *h.Revisions[8].Record
			r.EndedUS = 7
			h.Pages = []check.Page{page("alice", jobAt{14, r})}
		}},
		{"a page is older than the record was", check.RuleOldPage, func(h *check.History) { h.Pages = []check.Page{page("alice", jobAt{13, *h.Revisions[8].Record})} }},
		{"nobody was told", check.RuleWebhook, func(h *check.History) { h.Receipts = h.Receipts[2:] }},
		{"the receiver never took it", check.RuleWebhook, func(h *check.History) { h.Receipts[1].Status = 500 }},
		{"the wrong end was told", check.RuleWebhook, func(h *check.History) { h.Receipts[0].State = "dead" }},
		{"one end under two ids", check.RuleWebhook, func(h *check.History) { h.Receipts[0].ID = "w0" }},
		{"one id for two jobs", check.RuleWebhook, func(h *check.History) { h.Receipts[2].ID = "w1" }},
		{"a process stays", check.RuleLeftover, func(h *check.History) { h.Leftovers = []check.Leftover{{Kind: "process", Detail: "qemu"}} }},
		{"a job is still counted", check.RuleUsage, func(h *check.History) { h.Usages[0].Running = 1 }},
		{"a job is still counted as queued", check.RuleUsage, func(h *check.History) { h.Usages[0].Queued = 1 }},
		{"bytes are still counted", check.RuleUsage, func(h *check.History) { h.Usages[0].StoredBytes = 9 }},
		{"bytes are not counted", check.RuleUsage, func(h *check.History) { h.Objects[3].Size = 2 }},
	}
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			h := sound()
			p.do(h)
			found := check.Check(h)
			if !slices.ContainsFunc(found, func(v check.Violation) bool { return v.Rule == p.rule }) {
				t.Errorf("not found under %q; found %v", p.rule, found)
			}
		})
	}
}

// jobAt is a record as it was at a revision.
type jobAt struct {
	Rev    uint64       `json:"rev"`
	Record check.Record `json:"record"`
}

// page is a tenant's first page.
func page(tenant string, jobs ...jobAt) check.Page {
	return pageOf(tenant, fmt.Sprintf(`{"v":1,"tenant":%q,"jobs":%d}`, tenant, len(jobs)), jobs)
}

func pageOf(tenant, head string, jobs []jobAt) check.Page {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprintln(z, head)
	for _, job := range jobs {
		if err := json.NewEncoder(z).Encode(job); err != nil {
			panic(err)
		}
	}
	z.Close()
	return check.Page{Key: tenant + ".p1", Value: b.Bytes()}
}

// inPage is another page, with one job.
func inPage(r check.Record) check.Page {
	p := page("alice", jobAt{30, r})
	p.Key = "alice.p2"
	return p
}

// repage gives the first page another head.
func repage(h *check.History, head string) {
	h.Pages[0] = pageOf("alice", head, []jobAt{{8, h.Final[0]}, {14, *h.Revisions[8].Record}})
}

// again writes the first job, which has ended, once more in another state.
func again(h *check.History, state string) {
	r := h.Final[0]
	r.State = state
	h.Revisions = append(h.Revisions, check.Revision{Key: "alice.j1", Rev: 20, Record: &r})
	h.Final[0] = r
}

func retried(h *check.History, id string, done bool) {
	h.Retried = append(h.Retried, check.Asked{JobName: job(id), Done: done})
}

// attempts are those of the first job at the end, apart from what was seen before.
func attempts(h *check.History) []check.Attempt {
	if h.Final[0].ID != "j1" {
		panic("the first job is another")
	}
	if &h.Final[0].Attempts[0] == &h.Revisions[2].Record.Attempts[0] {
		h.Final[0].Attempts = slices.Clone(h.Final[0].Attempts)
	}
	return h.Final[0].Attempts
}

func object(h *check.History, key string) {
	h.Objects = append(h.Objects, check.Object{Key: key, SHA256: digest})
}

func TestTable(t *testing.T) {
	strikes := []check.Strike{
		{Component: "gateway", Step: "claim", Hit: true}, {Component: "gateway", Step: "claim", Hit: true},
		{Component: "gateway", Step: "run"}, {Component: "nats", Step: "run", Hit: true}, {Component: "other", Step: "run", Hit: true},
	}
	table := check.Count(strikes, []string{"gateway", "nats"}, []string{"claim", "run"})
	never := func(component, step string) bool { return component == "gateway" && step == "run" }
	if got, want := strings.Join(table.Thin(2, never), "; "), "nats × claim: 0; nats × run: 1"; got != want {
		t.Errorf("thin cells %q, want %q", got, want)
	}
	if got := strings.Fields(table.String()); !slices.Equal(got, []string{"claim", "run", "gateway", "2", "0", "nats", "0", "1"}) {
		t.Errorf("the table reads %q", got)
	}
}

// TestHistoryComesBack: what is written line by line is read as it was.
func TestHistoryComesBack(t *testing.T) {
	want := sound()
	var file bytes.Buffer
	write := json.NewEncoder(&file)
	var lines []check.Line
	for i := range want.Accepted {
		lines = append(lines, check.Line{Accepted: &want.Accepted[i]})
	}
	for i := range want.Revisions {
		lines = append(lines, check.Line{Revision: &want.Revisions[i]})
	}
	for i := range want.Final {
		lines = append(lines, check.Line{Final: &want.Final[i]})
	}
	lines = append(lines, check.Line{Swept: &want.Swept}, check.Line{Object: &want.Objects[0]}, check.Line{Page: &want.Pages[0]})
	for _, l := range lines {
		if err := write.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	got, err := check.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Accepted) != len(want.Accepted) || len(got.Revisions) != len(want.Revisions) || len(got.Final) != len(want.Final) || !got.Swept || len(got.Objects) != 1 || len(got.Pages) != 1 || !bytes.Equal(got.Pages[0].Value, want.Pages[0].Value) {
		t.Errorf("read %+v", got)
	}
	if got.Accepted[0] != want.Accepted[0] || got.Final[3].Source.Job != "j1" {
		t.Errorf("read %+v and %+v", got.Accepted[0], got.Final[3])
	}
}

func TestBrokenHistories(t *testing.T) {
	for _, text := range []string{"{", "{}\n", `{"swept":true,"object":{}}`, `{"final":{"id":`, `{"unknown":{}}`} {
		if _, err := check.Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read without an error", text)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"accepted":{"tenant":"a","job":"j"}}` + "\n" + `{"final":{"id":"j","tenant":"a","state":"running"}}`))
	f.Add([]byte(`{"revision":{"key":"a.j","rev":1}}`))
	paged, err := json.Marshal(check.Line{Page: &sound().Pages[0]})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(paged)
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := check.Read(bytes.NewReader(data)); err == nil {
			check.Check(h)
		}
	})
}
