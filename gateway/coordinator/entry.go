package coordinator

import (
	"slices"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// entry of a job in the index. As there is one for each job whose record is in the
// bucket, what only few jobs have is apart, and a test bounds what an ended one takes.
type entry struct {
	key     string // <tenant>.<job>
	rev     uint64
	created int64
	labels  map[string]string
	// ended is when the job did, in microseconds since the Unix epoch, or 0.
	ended int64
	// more is nil of most jobs that have ended.
	more *more
	// heard is when this gateway heard of the end: [state.elapsed].
	heard time.Duration
	// won is the attempt whose outputs are kept, 0 for none.
	won int32
	// code is the state's place in [schemas.States] and one, 0 for none.
	code uint8
	// stored says that objects of an ended job are kept.
	stored bool
	// cached says that the job has another one's result.
	cached bool
	// gone says that the record was deleted: nothing else of the entry counts.
	gone bool
	// told says that the watch has told of this record: so has everybody who hears of
	// ends by it.
	told bool
	// listed says that an audit that is under way has seen the key.
	listed bool
}

// more is what hardly any job that has ended has.
type more struct {
	// rec is kept until the job has ended.
	rec *schemas.Record
	// holder is the executor that holds the job.
	holder string
	// hearers want to know each new record.
	hearers map[*hearer]struct{}
	// purged is when its outputs expired, in microseconds since the Unix epoch, or 0.
	purged int64
	// origin is the key of the job under which its objects are, if it is another.
	origin string
}

// id is the job's.
func (e *entry) id() string { return e.key[strings.IndexByte(e.key, '.')+1:] }

func (e *entry) state() schemas.State {
	if e.code == 0 {
		return ""
	}
	return schemas.States[e.code-1]
}

func (e *entry) enter(s schemas.State) { e.code = uint8(slices.Index(schemas.States, s) + 1) }

// rec is the job's record, nil once it has ended.
func (e *entry) rec() *schemas.Record {
	if e.more == nil {
		return nil
	}
	return e.more.rec
}

func (e *entry) setRecord(rec *schemas.Record) {
	if rec != nil || e.more != nil {
		e.have().rec = rec
	}
}

func (e *entry) holder() string {
	if e.more == nil {
		return ""
	}
	return e.more.holder
}

func (e *entry) purged() int64 {
	if e.more == nil {
		return 0
	}
	return e.more.purged
}

// have makes room for what few jobs have.
func (e *entry) have() *more {
	if e.more == nil {
		e.more = &more{}
	}
	return e.more
}

// trim gives that room up if nothing is in it.
func (e *entry) trim() {
	if m := e.more; m != nil && m.rec == nil && m.holder == "" && m.hearers == nil && m.purged == 0 && m.origin == "" {
		e.more = nil
	}
}

func (e *entry) tell(rec schemas.Record) {
	if e.more == nil {
		return
	}
	for h := range e.more.hearers {
		select {
		case <-h.newest:
		default:
		}
		h.newest <- rec
	}
}
