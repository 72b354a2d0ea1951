package check

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A History is a run as it was recorded. In a file it is JSON lines, one [Line] each.
type History struct {
	// Accepted are the submissions that the system acknowledged.
	Accepted []Accepted
	// Revisions are the writes of records that were seen, in any order. Some may be missing.
	Revisions []Revision
	// Final are all records at the end, by a read of each, that had not come into a page by then.
	Final []Record
	// Pages are all pages of history, read after Final.
	Pages []Page
	// Objects are all objects of the store at the end, after a sweep.
	Objects []Object
	// Swept says that such a sweep was made: only then must nothing unreferenced be left.
	Swept bool
	// Unreferenced is what the system itself would still delete after that sweep.
	Unreferenced []Unreferenced
	// Receipts are the webhook requests that a receiver got.
	Receipts []Receipt
	// Retried are the dead jobs that a person brought back, as often as that happened.
	Retried []Asked
	// Dropped are the dead jobs that a person removed.
	Dropped []Asked
	// Strikes are the faults that were injected.
	Strikes []Strike
	// Leftovers are processes, mounts, folders that should have gone.
	Leftovers []Leftover
	// Usages are what the system says of each tenant at the end.
	Usages []Usage
}

// Line is a line of a history's file: exactly one member is set.
type Line struct {
	Accepted *Accepted `json:"accepted,omitempty"`
	Revision *Revision `json:"revision,omitempty"`
	Final    *Record   `json:"final,omitempty"`
	Page     *Page     `json:"page,omitempty"`
	Object   *Object   `json:"object,omitempty"`
	Swept    *bool     `json:"swept,omitempty"`
	Receipt  *Receipt  `json:"receipt,omitempty"`
	Retried  *Asked    `json:"retried,omitempty"`
	Dropped  *Asked    `json:"dropped,omitempty"`
	Strike   *Strike   `json:"strike,omitempty"`
	Leftover *Leftover `json:"leftover,omitempty"`
	Usage    *Usage    `json:"usage,omitempty"`

	Unreferenced *Unreferenced `json:"unreferenced,omitempty"`
}

// JobName is a job of a tenant.
type JobName struct {
	Tenant string `json:"tenant"`
	Job    string `json:"job"`
}

// Accepted is a submission whose answer the client got. Instants here and below
// are microseconds since the Unix epoch.
type Accepted struct {
	JobName
	// Key is the idempotency key, if it had one.
	Key string `json:"key,omitempty"`
	// Callback: the job asked for a webhook at its end.
	Callback bool  `json:"callback,omitempty"`
	AtUS     int64 `json:"at_us"`
}

// Revision is a record as it was written, or its deletion.
type Revision struct {
	Key string `json:"key"`
	// Rev rises with each write to the bucket.
	Rev     uint64  `json:"rev"`
	Record  *Record `json:"record,omitempty"`
	Deleted bool    `json:"deleted,omitempty"`
}

// Record is what matters here of a job's record.
type Record struct {
	ID       string    `json:"id"`
	Tenant   string    `json:"tenant"`
	State    string    `json:"state"`
	Spec     Named     `json:"spec"`
	Attempts []Attempt `json:"attempts,omitempty"`
	// Forgiven is the last attempt that no longer counts, as a person brought the job back after it.
	Forgiven int      `json:"forgiven,omitempty"`
	Outcome  *Outcome `json:"outcome,omitempty"`
	Result   *Named   `json:"result,omitempty"`
	Archive  *Named   `json:"archive,omitempty"`
	EndedUS  int64    `json:"ended_us,omitempty"`
	PurgedUS int64    `json:"purged_us,omitempty"`
	// SpecInline and ResultInline replace objects of the store.
	SpecInline   json.RawMessage `json:"spec_inline,omitempty"`
	ResultInline json.RawMessage `json:"result_inline,omitempty"`
	// Source is the attempt of another job whose result this one shares.
	Source *Source `json:"source,omitempty"`
	// Rev is the revision of a record that was read at the end.
	Rev uint64 `json:"rev,omitempty"`
}

// Outcome is how a program ended.
type Outcome struct {
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal,omitempty"`
	Limit    string `json:"limit,omitempty"`
}

// Attempt is one try.
type Attempt struct {
	N        int             `json:"n"`
	Executor string          `json:"executor"`
	Nonce    string          `json:"nonce,omitempty"`
	EndedUS  int64           `json:"ended_us,omitempty"`
	Failure  json.RawMessage `json:"failure,omitempty"`
}

// Source names an attempt of a job of the same tenant.
type Source struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
}

// Named is an object as a record knows it.
type Named struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Object is one that is in the store; SHA256 ("sha256:" and hex) is of what was read.
type Object struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Receipt is a webhook request, and what the receiver answered.
type Receipt struct {
	ID string `json:"id"`
	JobName
	State  string `json:"state"`
	Status int    `json:"status"`
	AtUS   int64  `json:"at_us"`
}

// Asked is what a person asked to be done with a dead job.
type Asked struct {
	JobName
	// Done: the answer said that it was done. Else there was none, and either may be.
	Done bool `json:"done"`
}

// Strike is an injected fault.
type Strike struct {
	Component string `json:"component"`
	Step      string `json:"step"`
	Action    string `json:"action"`
	// Hit: a job was in that step, in that component's care, at that moment.
	Hit  bool  `json:"hit"`
	AtUS int64 `json:"at_us"`
}

// Leftover is what should have gone.
type Leftover struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

// Unreferenced is what a dry run after a sweep found of one tenant and kind.
type Unreferenced struct {
	Tenant  string `json:"tenant"`
	Kind    string `json:"kind"`
	Objects int64  `json:"objects"`
	// Example is the key of one of them.
	Example string `json:"example"`
}

// Usage is what the system counts of a tenant. StoredBytes is -1 where it does not say.
type Usage struct {
	Tenant      string `json:"tenant"`
	Queued      int    `json:"queued"`
	Running     int    `json:"running"`
	StoredBytes int64  `json:"stored_bytes"`
}

const maxLine = 1 << 20

// Read takes a history from JSON lines. A last line that was cut off is an
// error, as is one that says nothing.
func Read(r io.Reader) (*History, error) {
	h := &History{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("history line %d: %w", n, err)
		}
		if err := h.add(line); err != nil {
			return nil, fmt.Errorf("history line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return h, nil
}

// errEmptyLine: a line that records nothing was meant to record something.
var errEmptyLine = errors.New("none of its members is one of a history's")

func (h *History) add(l Line) error {
	added := take(&h.Accepted, l.Accepted) + take(&h.Revisions, l.Revision) + take(&h.Final, l.Final) + take(&h.Pages, l.Page) +
		take(&h.Objects, l.Object) + take(&h.Receipts, l.Receipt) + take(&h.Retried, l.Retried) +
		take(&h.Dropped, l.Dropped) + take(&h.Strikes, l.Strike) + take(&h.Leftovers, l.Leftover) + take(&h.Usages, l.Usage) + take(&h.Unreferenced, l.Unreferenced)
	if l.Swept != nil {
		h.Swept = h.Swept || *l.Swept
		added++
	}
	if added != 1 {
		return errEmptyLine
	}
	return nil
}

func take[T any](to *[]T, v *T) int {
	if v == nil {
		return 0
	}
	*to = append(*to, *v)
	return 1
}
