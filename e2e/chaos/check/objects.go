package check

import (
	"fmt"
	"strings"
)

func splitKey(key string) JobName {
	tenant, job, _ := strings.Cut(key, ".")
	return JobName{tenant, job}
}

func tenantOf(key string) string {
	tenant, _, _ := strings.Cut(key, "/")
	return tenant
}

func attemptKey(tenant, job string, attempt int, name string) string {
	return fmt.Sprintf("%s/jobs/%s/%d/%s", tenant, job, attempt, name)
}

// besides are the objects of an accepted attempt that a record does not name itself.
var besides = []string{"result.json", "outputs.tar.zst", "outputs.json", "stdout.zst", "stderr.zst"}

// objects: what records name is there, and nothing else of jobs.
func (c *checker) objects() {
	there := make(map[string]Object, len(c.Objects))
	for _, o := range c.Objects {
		there[o.Key] = o
	}
	named := map[string]bool{}
	for name, r := range c.final {
		c.named(name, &r, there, named)
	}
	for _, u := range c.Unreferenced {
		c.report(RuleOrphan, JobName{Tenant: u.Tenant}, "a sweep left %d objects of kind %s, such as %s", u.Objects, u.Kind, u.Example)
	}
	if !c.Swept {
		return
	}
	for key := range there {
		if parts := strings.SplitN(key, "/", 4); len(parts) == 4 && parts[1] == "jobs" && !named[key] {
			c.report(RuleOrphan, JobName{parts[0], parts[2]}, "%s", key)
		}
	}
}

// named checks the objects of one record, and notes all that it may have.
func (c *checker) named(name JobName, r *Record, there map[string]Object, named map[string]bool) {
	if len(r.SpecInline) == 0 {
		key := name.Tenant + "/jobs/" + name.Job + "/" + r.Spec.Name
		named[key] = true
		c.same(name, key, r.Spec, there)
	}
	job, attempt, has := c.winner(name, r)
	if !has || r.PurgedUS != 0 {
		return
	}
	for _, n := range besides {
		named[attemptKey(name.Tenant, job, attempt, n)] = true
	}
	if r.Result != nil && len(r.ResultInline) == 0 {
		c.same(name, attemptKey(name.Tenant, job, attempt, "result.json"), *r.Result, there)
	}
	if r.Archive != nil {
		c.same(name, attemptKey(name.Tenant, job, attempt, "outputs.tar.zst"), *r.Archive, there)
	}
	if r.Result == nil && len(r.ResultInline) == 0 {
		c.report(RuleObject, name, "has an outcome and no result")
	}
}

// winner is the attempt whose objects a record's are.
func (c *checker) winner(name JobName, r *Record) (job string, attempt int, has bool) {
	switch {
	case r.Outcome == nil:
		return "", 0, false
	case r.Source != nil:
		return r.Source.Job, r.Source.Attempt, true
	case len(r.Attempts) == 0:
		return "", 0, false
	}
	return name.Job, r.Attempts[len(r.Attempts)-1].N, true
}

func (c *checker) same(name JobName, key string, want Named, there map[string]Object) {
	switch got, ok := there[key]; {
	case !ok:
		c.report(RuleObject, name, "%s is not in the store", key)
	case got.Size != want.Size || got.SHA256 != want.SHA256:
		c.report(RuleObject, name, "%s has %d bytes and digest %s, the record says %d and %s", key, got.Size, got.SHA256, want.Size, want.SHA256)
	}
}
