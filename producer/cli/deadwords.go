package cli

// What the commands for dead jobs say.
const (
	deadShort = "Jobs that the platform gave up: list, show, retry or drop them"
	deadLong  = `Work with dead jobs: those that the platform could not run, however often it
tried, or with which executors were lost. They stay until somebody decides:
retry queues the same job again, with a fresh set of attempts; drop removes it
and what it left, for good.`
	deadExample = `  pe dead list
  pe dead show j0123…
  pe dead retry j0123… j0456…
  pe dead retry --all -l suite=nightly
  pe dead drop --all`
	deadListExample = `  pe dead list -l suite=nightly
  pe dead list -n 0 --json | jq -r '.jobs[].failure.message'`
	deadShowExample  = `  pe dead show j0123…`
	deadRetryExample = `  pe dead retry j0123… j0456…
  pe dead retry --all -l suite=nightly`
	deadDropExample = `  pe dead drop j0123…
  pe dead drop --all`
	deadListShort  = "List dead jobs with the reason, the newest first"
	deadShowShort  = "Show dead jobs, each of their attempts, and what can be done"
	deadRetryShort = "Queue dead jobs again"
	deadRetryLong  = `Queue dead jobs again: the same jobs, with a fresh set of attempts. One
whose inputs are not stored any more, or whose deadline is over, is refused.`
	deadDropShort = "Remove dead jobs and what they left, for good"
	helpAllDead   = "all dead jobs, or with --label all that have it"
	noDead        = "no dead jobs"
)
