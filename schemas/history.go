package schemas

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A page of history holds the records of many jobs of one tenant that have
// ended, as one value of the bucket [BucketHistory]: gzip of a line of JSON for
// the page, and one for each job, in the order of [CompareJobs].

const (
	// MaxHistoryJobs is how many jobs a page holds at most.
	MaxHistoryJobs = 256
	// MaxHistoryBytes bounds a page as it is stored.
	MaxHistoryBytes = 512 * kib
	// maxHistoryLine bounds what a page has of one job.
	maxHistoryLine = MaxRecordBytes + 64
	// maxHistoryText bounds a page's text.
	maxHistoryText = (MaxHistoryJobs + 1) * (maxHistoryLine + 1)
)

// HistoryVersion is the version of pages that this package writes.
const HistoryVersion = 1

// Errors of pages.
var (
	// ErrHistoryTooLarge: so many jobs do not fit into one page.
	ErrHistoryTooLarge = errors.New("too much for one page of history")
	// ErrHistoryPage: what was read is no page of the tenant's, or damaged.
	ErrHistoryPage = errors.New("bad page of history")
)

// HistoryJob is what a page has of a job.
type HistoryJob struct {
	// Revision is that of the record in the bucket of jobs, as it was when the job
	// came into the page. What happened to the job since, in the page, has none.
	Revision uint64 `json:"rev"`
	Record   Record `json:"record"`
}

type historyHead struct {
	Version int    `json:"v"`
	Tenant  string `json:"tenant"`
	Jobs    int    `json:"jobs"`
}

// CompareJobs orders jobs by their creation, and those of one instant by id.
func CompareJobs(a, b *Record) int {
	return cmp.Or(cmp.Compare(a.CreatedUS, b.CreatedUS), cmp.Compare(a.ID, b.ID))
}

// EncodeHistory writes a page, and sorts jobs for it. [ErrHistoryTooLarge] if they
// are too many, or too large together.
func EncodeHistory(tenant string, jobs []HistoryJob) ([]byte, error) {
	if len(jobs) == 0 || len(jobs) > MaxHistoryJobs {
		return nil, fmt.Errorf("%w: %d jobs, want 1 to %d", ErrHistoryTooLarge, len(jobs), MaxHistoryJobs)
	}
	slices.SortFunc(jobs, func(a, b HistoryJob) int { return CompareJobs(&a.Record, &b.Record) })
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is a valid one
	lines := json.NewEncoder(z)
	lines.SetEscapeHTML(false)
	err := lines.Encode(historyHead{HistoryVersion, tenant, len(jobs)})
	for i := range jobs {
		if err == nil {
			err = lines.Encode(&jobs[i])
		}
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("encode page of history: %w", err)
	}
	if b.Len() > MaxHistoryBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrHistoryTooLarge, b.Len(), MaxHistoryBytes)
	}
	return b.Bytes(), nil
}

// HistoryText is a page's text: what is decoded of it, job by job.
type HistoryText struct {
	tenant string
	lines  [][]byte
}

// OpenHistory unpacks a tenant's page. It does not look at its jobs.
func OpenHistory(tenant string, data []byte) (*HistoryText, error) {
	text, err := inflateHistory(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHistoryPage, err)
	}
	lines := bytes.SplitN(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"), MaxHistoryJobs+2) // too many are one too many
	var head historyHead
	err = json.Unmarshal(lines[0], &head)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrHistoryPage, err)
	case head.Version != HistoryVersion || head.Tenant != tenant:
		return nil, fmt.Errorf("%w: version %d of tenant %.40q, want %d of %q", ErrHistoryPage, head.Version, head.Tenant, HistoryVersion, tenant)
	case head.Jobs != len(lines)-1 || head.Jobs < 1 || head.Jobs > MaxHistoryJobs:
		return nil, fmt.Errorf("%w: %d jobs in %d lines", ErrHistoryPage, head.Jobs, len(lines))
	}
	return &HistoryText{tenant, lines[1:]}, nil
}

func inflateHistory(data []byte) ([]byte, error) {
	if len(data) > MaxHistoryBytes {
		return nil, fmt.Errorf("%d bytes, at most %d", len(data), MaxHistoryBytes)
	}
	z, err := gzip.NewReader(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return nil, err
	}
	return readAtMost(z, maxHistoryText)
}

// Len is how many jobs the page has.
func (t *HistoryText) Len() int { return len(t.lines) }

// Size is how many bytes the text takes.
func (t *HistoryText) Size() (bytes int) {
	for _, line := range t.lines {
		bytes += len(line)
	}
	return bytes
}

// Job decodes the i-th job.
func (t *HistoryText) Job(i int) (HistoryJob, error) {
	var job HistoryJob
	if len(t.lines[i]) > maxHistoryLine {
		return job, fmt.Errorf("%w: %d bytes of a job", ErrHistoryPage, len(t.lines[i]))
	}
	if err := json.Unmarshal(t.lines[i], &job); err != nil {
		return job, fmt.Errorf("%w: %w", ErrHistoryPage, err)
	}
	switch rec := &job.Record; {
	case rec.Tenant != t.tenant || !ValidJobID(rec.ID) || rec.Version != RecordVersion:
		return job, fmt.Errorf("%w: job %.40q of tenant %.40q, version %d", ErrHistoryPage, rec.ID, rec.Tenant, rec.Version)
	case !rec.State.Terminal() || rec.State == StateDead || job.Revision == 0:
		return job, fmt.Errorf("%w: job %s is %s, of revision %d", ErrHistoryPage, rec.ID, rec.State, job.Revision)
	}
	return job, nil
}

// DecodeHistory reads a tenant's page whole, and checks it: jobs that have ended,
// none dead, each once, in their order.
func DecodeHistory(tenant string, data []byte) ([]HistoryJob, error) {
	text, err := OpenHistory(tenant, data)
	if err != nil {
		return nil, err
	}
	jobs := make([]HistoryJob, text.Len())
	for i := range jobs {
		if jobs[i], err = text.Job(i); err != nil {
			return nil, err
		}
		if i > 0 && CompareJobs(&jobs[i-1].Record, &jobs[i].Record) >= 0 {
			return nil, fmt.Errorf("%w: job %s is not after %s", ErrHistoryPage, jobs[i].Record.ID, jobs[i-1].Record.ID)
		}
	}
	return jobs, nil
}
