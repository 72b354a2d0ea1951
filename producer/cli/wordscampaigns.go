package cli

import "fmt"

// Words of pe campaign.
const (
	campaignShort = "Jobs that belong together, and the end of all of them"
	campaignLong  = `Make campaigns, close them, and wait for their ends. A campaign is all jobs with the
label campaign=NAME. Close it when the last of them is submitted: it ends once all
of them have, and its callback is told.`
	campaignExample = `  pe campaign create nightly --callback https://example.org/done
  pe submit --campaign nightly --image gcc gcc --version
  pe campaign close nightly
  pe campaign wait nightly`

	campaignCreateShort = "Make a campaign; the same again changes nothing"
	campaignCreateLong  = `Make a campaign. Jobs belong to it by the label campaign=NAME, also those that were
submitted before. It is refused if there is one of this name with another
description or callback.`
	campaignCreateExample = `  pe campaign create nightly-2026-11-28
  pe campaign create nightly --description 'all tests, on five machines' --callback https://example.org/done
  pe run --campaign nightly-2026-11-28 --image gcc gcc --version`
	campaignListShort   = "List campaigns, the newest first"
	campaignListExample = `  pe campaign list
  pe campaign list --json | jq -r '.campaigns[] | select(.state == "open") | .name'`
	campaignShowShort   = "Show a campaign, and its jobs by state"
	campaignShowExample = `  pe campaign show nightly
  pe campaign show nightly --json | jq .jobs`
	campaignCloseExample = `  pe campaign close nightly`
	campaignCloseShort   = "Say that no more jobs are expected"
	campaignCloseLong    = `Say that no more jobs are expected. One more with the campaign's label is refused from
now on. The campaign ends once all of its jobs have, at once if they have already.`
	campaignWaitShort = "Wait for a campaign's end"
	campaignWaitLong  = `Wait until a campaign has ended: somebody has closed it, and all of its jobs have
ended. The exit code is 0 if all have succeeded, and 1 if not.`
	campaignWaitExample = `  pe campaign close nightly && pe campaign wait nightly && echo all succeeded
  pe campaign wait nightly --json | jq .jobs`
	campaignRemoveExample = `  pe campaign remove nightly`
	campaignRemoveShort   = "Forget a campaign, and none of its jobs"
	campaignRemoveLong    = `Forget a campaign, and none of its jobs: they keep their label. If it has not ended,
nobody is told of its end.`

	flagCampaign         = "`NAME` of the campaign that it belongs to: the same as --label campaign=NAME"
	helpCampaignCallback = "tell this `URL` of the campaign's end"
	helpDescription      = "what it is, in one line of `TEXT`"
)

func noCampaignName(name string) string {
	return fmt.Sprintf("%s names no campaign: want 1 to 63 letters, digits and . _ -, the first a letter or digit", printable(name))
}

func twoCampaigns(label, flag string) string {
	return fmt.Sprintf("--label campaign=%s and --campaign %s: a job belongs to one campaign", printable(label), printable(flag))
}

func waitsForClose(name string) string {
	return fmt.Sprintf("campaign %s is open: it ends once pe campaign close says that no more jobs are expected", printable(name))
}
