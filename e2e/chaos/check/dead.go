package check

// askedFor: a dead job comes back, or goes, when a person asks for it, and no
// job goes unasked.
func (c *checker) askedFor() {
	keyed := map[JobName]bool{} // a submission under its key may make the job anew
	for _, a := range c.Accepted {
		keyed[a.JobName] = keyed[a.JobName] || a.Key != ""
	}
	for _, r := range c.Retried {
		if final, there := c.final[r.JobName]; r.Done && there && final.Forgiven == 0 {
			c.report(RuleDead, r.JobName, "was brought back, and is %s as if it had not been", final.State)
		}
	}
	for _, d := range c.Dropped {
		if _, there := c.final[d.JobName]; d.Done && there && !keyed[d.JobName] {
			c.report(RuleDead, d.JobName, "was dropped, and is there")
		}
	}
	for name, revisions := range c.revisions {
		c.removals(name, revisions, keyed[name])
	}
}

func (c *checker) removals(name JobName, revisions []Revision, keyed bool) {
	removed := false
	for _, r := range revisions {
		switch {
		case r.Deleted && !c.dropped[name]:
			c.report(RuleDead, name, "was removed at revision %d, and nobody asked for it", r.Rev)
		case removed && !r.Deleted && !keyed:
			c.report(RuleDead, name, "was removed, and is back at revision %d", r.Rev)
		}
		removed = r.Deleted
	}
}
