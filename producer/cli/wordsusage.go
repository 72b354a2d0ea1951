package cli

import "strconv"

// What there is and may be.
const (
	usageShort = "Show how much you have, and may have: jobs, stored bytes, requests"
	usageLong  = `Show how many jobs of yours are queued and run, how much you have stored, and
how much of each you may have. Stored bytes are inputs, outputs and logs. They are
counted now and then, every hour by default; what came and went since is in them
roughly.`
	usageExample = `  pe usage
  pe usage --json | jq .stored_bytes`

	noBound    = "no bound"
	notCounted = " (not counted yet)"
)

func atMost(most string) string   { return "at most " + most }
func countedAt(age string) string { return " (counted " + age + ")" }

func requestRate(perSecond float64, atOnce int) string {
	return "at most " + strconv.FormatFloat(perSecond, 'g', -1, 64) + " a second, " + strconv.Itoa(atOnce) + " at once"
}
