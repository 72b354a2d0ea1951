package check

// webhooks: every end that somebody asked to hear of was told at least once,
// each under one id, and nothing else was told.
func (c *checker) webhooks() {
	asked := map[JobName]bool{}
	for _, a := range c.Accepted {
		asked[a.JobName] = asked[a.JobName] || a.Callback
	}
	taken := map[JobName]bool{}
	jobs := map[string]JobName{}
	ids := map[JobName]map[string]bool{}
	for _, r := range c.Receipts {
		if first, seen := jobs[r.ID]; seen && first != r.JobName {
			c.report(RuleWebhook, r.JobName, "id %s was of job %s, too", r.ID, first.Job)
		}
		jobs[r.ID] = r.JobName
		if ids[r.JobName] == nil {
			ids[r.JobName] = map[string]bool{}
		}
		ids[r.JobName][r.ID] = true
		final, there := c.final[r.JobName]
		if there && final.State == r.State && r.Status/100 == 2 {
			taken[r.JobName] = true
		}
		if there && final.State != r.State && c.retried[r.JobName] == 0 {
			c.report(RuleWebhook, r.JobName, "was told to be %s and is %s", r.State, final.State)
		}
	}
	for name, all := range ids {
		if most := 1 + c.retried[name]; len(all) > most {
			c.report(RuleWebhook, name, "was told under %d ids, at most %d may be", len(all), most)
		}
	}
	for name := range asked {
		if _, there := c.final[name]; asked[name] && there && !taken[name] {
			c.report(RuleWebhook, name, "its end was never taken by the receiver")
		}
	}
}
