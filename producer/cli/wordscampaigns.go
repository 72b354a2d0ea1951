package cli

import "fmt"

// Words of pe campaign.
const (
	campaignShort = "Jobs that belong together, and the end of all of them"
	campaignLong  = `Make campaigns, close them, and wait for their ends. A campaign is all jobs with the
label campaign=NAME. Close it when the last of them is submitted: it ends once all
of them have, and its callback is told.`
	campaignExample = `  pe campaign create nightly --callback https://example.org/done
  pe submit --batch jobs.jsonl     # of jobs with the label campaign=nightly
  pe campaign close nightly
  pe campaign wait nightly`

	campaignCreateShort = "Make a campaign; the same again changes nothing"
	campaignCreateLong  = `Make a campaign. Jobs belong to it by the label campaign=NAME, also those that were
submitted before. It is refused if there is one of this name with another
description or callback.`
	campaignCreateExample = `  pe campaign create nightly-2026-11-28
  pe campaign create nightly --description 'all tests, on five machines' --callback https://example.org/done
  pe run -l campaign=nightly --image gcc gcc --version`
	campaignListShort  = "List campaigns, the newest first"
	campaignShowShort  = "Show a campaign, and its jobs by state"
	campaignCloseShort = "Say that no more jobs are expected"
	campaignCloseLong  = `Say that no more jobs are expected. One more with the campaign's label is refused from
now on. The campaign ends once all of its jobs have, at once if they have already.`
	campaignWaitShort = "Wait for a campaign's end"
	campaignWaitLong  = `Wait until a campaign has ended: somebody has closed it, and all of its jobs have
ended. The exit code is 0 if all have succeeded, and 1 if not.`
	campaignRemoveShort = "Forget a campaign, and none of its jobs"
	campaignRemoveLong  = `Forget a campaign, and none of its jobs: they keep their label. If it has not ended,
nobody is told of its end.`

	helpCampaignCallback = "tell this `URL` of the campaign's end"
	helpDescription      = "what it is, in one line of `TEXT`"
)

func noCampaignName(name string) string {
	return fmt.Sprintf("%s names no campaign: want 1 to 63 letters, digits and . _ -, the first a letter or digit", printable(name))
}

func waitsForClose(name string) string {
	return fmt.Sprintf("campaign %s is open: it ends once pe campaign close says that no more jobs are expected", printable(name))
}
