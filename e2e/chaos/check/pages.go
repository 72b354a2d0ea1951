package check

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// Page is a page of history: a value that holds the records of many jobs of one
// tenant which ended some time ago, each instead of a record of its own.
type Page struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// pageKey is what a page's key looks like: <tenant>.p<number>.
var pageKey = regexp.MustCompile(`^([a-z0-9-]+)\.p[1-9][0-9]*$`)

// pageHead and pagedJob are what a page consists of: one, and many.
type pageHead struct {
	Version int    `json:"v"`
	Tenant  string `json:"tenant"`
	Jobs    int    `json:"jobs"`
}

type pagedJob struct {
	// Rev is that of the job's own record when it came into the page.
	Rev    uint64 `json:"rev"`
	Record Record `json:"record"`
}

// maxPageText bounds a page's text, in bytes.
const maxPageText = 16 << 20

// unpack reads a tenant's page.
func (p Page) unpack(tenant string) ([]pagedJob, error) {
	z, err := gzip.NewReader(bytes.NewReader(p.Value))
	if err != nil {
		return nil, err
	}
	text := json.NewDecoder(io.LimitReader(z, maxPageText))
	var head pageHead
	if err := text.Decode(&head); err != nil {
		return nil, fmt.Errorf("its head: %w", err)
	}
	if head.Version != 1 || head.Tenant != tenant {
		return nil, fmt.Errorf("version %d, of tenant %q", head.Version, head.Tenant)
	}
	var jobs []pagedJob
	for {
		var job pagedJob
		switch err := text.Decode(&job); {
		case errors.Is(err, io.EOF) && len(jobs) != head.Jobs:
			return nil, fmt.Errorf("%d jobs, and its head says %d", len(jobs), head.Jobs)
		case errors.Is(err, io.EOF):
			return jobs, nil
		case err != nil:
			return nil, fmt.Errorf("job %d: %w", len(jobs)+1, err)
		}
		jobs = append(jobs, job)
	}
}

// Paged counts the jobs in pages that can be read.
func (h *History) Paged() (jobs int) {
	for _, p := range h.Pages {
		if of := pageKey.FindStringSubmatch(p.Key); of != nil {
			found, _ := p.unpack(of[1]) // what cannot be read is a violation
			jobs += len(found)
		}
	}
	return jobs
}

// pages: what stands in a page is as good as a record, and stands in one only. A
// record that is there as well goes before it if it was written later: a server that
// was killed may have found an older one on its disk.
func (c *checker) pages() {
	in := map[JobName]string{}
	for _, p := range c.Pages {
		of := pageKey.FindStringSubmatch(p.Key)
		if of == nil {
			c.report(RulePage, JobName{}, "%q is no key of a page", p.Key)
			continue
		}
		jobs, err := p.unpack(of[1])
		if err != nil {
			c.report(RulePage, JobName{Tenant: of[1]}, "%s: %v", p.Key, err)
		}
		for _, job := range jobs {
			c.paged(p.Key, of[1], job, in)
		}
	}
}

// paged takes a job from a page; in says in which page each was found.
func (c *checker) paged(key, tenant string, job pagedJob, in map[JobName]string) {
	name := job.Record.name()
	if job.Record.Tenant != tenant {
		c.report(RulePageTenant, name, "stands in %s", key)
		return
	}
	if other, twice := in[name]; twice {
		c.report(RuleTwoPages, name, "stands in %s and in %s", other, key)
		return
	}
	in[name] = key
	if own, there := c.final[name]; there && (own.Rev == 0 || own.Rev > job.Rev) {
		return
	}
	if !ends[job.Record.State] || job.Record.State == "dead" {
		c.report(RulePage, name, "stands in %s, and is %q", key, job.Record.State)
	}
	c.newest(name, key, job)
	c.final[name] = job.Record
}

// newest: no write of a record was left out when it came into a page.
func (c *checker) newest(name JobName, key string, job pagedJob) {
	revisions := c.revisions[name]
	if len(revisions) == 0 {
		return
	}
	switch last := revisions[len(revisions)-1]; {
	case last.Rev > job.Rev && !last.Deleted:
		c.report(RuleOldPage, name, "stands in %s as of revision %d, and was written at %d", key, job.Rev, last.Rev)
	case last.Rev == job.Rev && last.Record != nil && (last.Record.State != job.Record.State || last.Record.EndedUS != job.Record.EndedUS):
		c.report(RuleOldPage, name, "is %s at %d in %s, and was %s at %d in the same revision", job.Record.State, job.Record.EndedUS, key, last.Record.State, last.Record.EndedUS)
	}
}
