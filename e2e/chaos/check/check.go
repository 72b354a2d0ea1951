package check

import (
	"cmp"
	"fmt"
	"slices"
)

// Rules that a run may break.
const (
	// RuleLost: an accepted job has no record.
	RuleLost = "lost"
	// RuleOpen: a job has not ended.
	RuleOpen = "open"
	// RuleTransition: a record took a step that no job may take.
	RuleTransition = "transition"
	// RuleTwoEnds: a job ended twice, in different ways.
	RuleTwoEnds = "two-ends"
	// RuleAttempts: attempts vanished, changed, or are not numbered one by one.
	RuleAttempts = "attempts"
	// RuleAccepted: the outcome is not that of one attempt, the last.
	RuleAccepted = "accepted"
	// RuleDead: what a person asked for of a dead job was not done, or was done unasked.
	RuleDead = "dead"
	// RuleKey: one idempotency key made two jobs, or two keys one.
	RuleKey = "idempotency"
	// RuleObject: what a record names is not in the store as it says.
	RuleObject = "object"
	// RuleOrphan: an object that no record names.
	RuleOrphan = "orphan"
	// RuleWebhook: an end that was not told, or told wrongly.
	RuleWebhook = "webhook"
	// RuleLeftover: something still runs or lies about.
	RuleLeftover = "leftover"
	// RulePage: a page of history that can't be read, or has a job in it that may not stand there.
	RulePage = "page"
	// RulePageTenant: a page of one tenant has another's job.
	RulePageTenant = "page-tenant"
	// RuleTwoPages: a job stands in two pages.
	RuleTwoPages = "two-pages"
	// RuleOldPage: what a page has of a job is not what its record was at last.
	RuleOldPage = "old-page"
	// RuleUsage: the system's own figures do not fit.
	RuleUsage = "usage"
)

// Violation is a broken promise.
type Violation struct {
	Rule   string
	Job    string
	Detail string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.Job, v.Detail) }

// Check returns every violation of a history, by rule and job.
func Check(h *History) []Violation {
	c := newChecker(h)
	c.pages()
	c.accepted()
	c.lives()
	c.askedFor()
	c.keys()
	c.objects()
	c.webhooks()
	c.rest()
	slices.SortFunc(c.found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Detail, b.Detail))
	})
	return c.found
}

type checker struct {
	*History
	final     map[JobName]Record
	revisions map[JobName][]Revision
	retried   map[JobName]int
	dropped   map[JobName]bool
	found     []Violation
}

func newChecker(h *History) *checker {
	c := &checker{
		History: h, final: map[JobName]Record{}, revisions: map[JobName][]Revision{},
		retried: map[JobName]int{}, dropped: map[JobName]bool{},
	}
	for _, r := range h.Final {
		c.final[r.name()] = r
	}
	for _, r := range h.Revisions {
		name := splitKey(r.Key)
		c.revisions[name] = append(c.revisions[name], r)
	}
	for _, revisions := range c.revisions {
		slices.SortFunc(revisions, func(a, b Revision) int { return cmp.Compare(a.Rev, b.Rev) })
	}
	for _, r := range h.Retried {
		c.retried[r.JobName]++
	}
	for _, d := range h.Dropped {
		c.dropped[d.JobName] = true
	}
	return c
}

func (r *Record) name() JobName { return JobName{r.Tenant, r.ID} }

func (c *checker) report(rule string, job JobName, format string, args ...any) {
	c.found = append(c.found, Violation{Rule: rule, Job: job.Tenant + "." + job.Job, Detail: fmt.Sprintf(format, args...)})
}

// accepted: what was acknowledged is there, and everything that is there has ended.
func (c *checker) accepted() {
	told := map[JobName]bool{}
	for _, a := range c.Accepted {
		if _, there := c.final[a.JobName]; !there && !c.dropped[a.JobName] && !told[a.JobName] {
			told[a.JobName] = true
			c.report(RuleLost, a.JobName, "accepted at %d, and has no record", a.AtUS)
		}
	}
	for name, r := range c.final {
		if !ends[r.State] {
			c.report(RuleOpen, name, "is %q at the end of the run", r.State)
		}
	}
}

// keys: an idempotency key and its job belong together.
func (c *checker) keys() {
	type tenantKey struct{ tenant, key string }
	jobs, keys := map[tenantKey]string{}, map[JobName]string{}
	for _, a := range c.Accepted {
		if a.Key == "" {
			continue
		}
		if first, seen := jobs[tenantKey{a.Tenant, a.Key}]; seen && first != a.Job {
			c.report(RuleKey, a.JobName, "key %q also made %s", a.Key, first)
		}
		jobs[tenantKey{a.Tenant, a.Key}] = a.Job
		if first, seen := keys[a.JobName]; seen && first != a.Key {
			c.report(RuleKey, a.JobName, "was made by the keys %q and %q", first, a.Key)
		}
		keys[a.JobName] = a.Key
	}
}

// rest: nothing is left over, and the system's own figures are those of a quiet system.
func (c *checker) rest() {
	for _, l := range c.Leftovers {
		c.report(RuleLeftover, JobName{}, "%s: %s", l.Kind, l.Detail)
	}
	stored := map[string]int64{}
	for _, o := range c.Objects {
		stored[tenantOf(o.Key)] += o.Size
	}
	for _, u := range c.Usages {
		if u.Queued != 0 || u.Running != 0 {
			c.report(RuleUsage, JobName{Tenant: u.Tenant}, "%d queued and %d running jobs are counted after all have ended", u.Queued, u.Running)
		}
		if u.StoredBytes >= 0 && u.StoredBytes != stored[u.Tenant] {
			c.report(RuleUsage, JobName{Tenant: u.Tenant}, "%d stored bytes are counted, %d are in the store", u.StoredBytes, stored[u.Tenant])
		}
	}
}
