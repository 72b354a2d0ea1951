package cli

// Words of pe webhooks.
const (
	webhooksShort = "Have addresses told when jobs and campaigns end, and see what became of it"
	webhooksLong  = `Have addresses told when jobs end: all of your jobs, or those with a label, or
those that end in one of some ways. What is sent is signed as the Standard
Webhooks specification has it, and sent again for three days if it fails.

A single job has an address of its own told with pe run --callback, a campaign
with pe campaign create --callback.`
	webhooksExample = `  pe webhooks add https://example.org/hook --event job.failed --event job.dead
  pe webhooks add https://example.org/hook -l campaign=nightly
  pe webhooks test w01h8x3vz9k6tqc2n4m5p7r0sa
  pe webhooks deliveries --state failed
  pe webhooks replay --failed`

	webhookListShort = "List the addresses that are told"
	webhookAddShort  = "Have an address told; prints its id, and the secret that signs"
	webhookAddLong   = `Have an address told of jobs that end from now on. Prints the webhook's id and
the secret that signs what it is sent: keep the secret, it is not told again.`
	webhookEnableShort  = "Have a webhook told again that was disabled"
	webhookDisableShort = "Have a webhook told no more, for the time being"
	webhookRemoveShort  = "Remove a webhook"
	webhookTestShort    = "Send a webhook a test, and show what it answers"
	webhookTestLong     = `Send a webhook one event of type webhook.test, now and once, and show what the
receiver answers. The exit code is 1 if it is no success.`
	deliveriesShort = "List what was sent, the newest first"
	deliveriesLong  = `List what was sent to webhooks and callbacks, or is yet to be, the newest first.
With --json, also what was in it, and the head of the answer.`
	replayShort = "Send deliveries again"
	replayLong  = `Send deliveries again, under the ids that they had: a receiver that keeps the ids
of what it has seen takes none twice.`
	replayExample = `  pe webhooks replay msg_01h8x3vz9k6tqc2n4m5p7r0sab
  pe webhooks replay --failed --webhook w01h8x3vz9k6tqc2n4m5p7r0sa`
	webhookSecretShort = "Show or replace the secret that signs"
	webhookSecretLong  = `Show the secret that signs callbacks. With --rotate, make a new one: for
callbacks, or for the webhook that is named. The old one signs beside it for the
overlap, so that receivers can be told in time.`

	helpEvent         = "tell of this `EVENT` only: job.succeeded, job.failed, job.cancelled, job.expired, job.dead, campaign.ended; repeat for more (default all of jobs)"
	helpWithLabel     = "tell of jobs with this label only, `KEY=VALUE`; repeat for more, and all must fit"
	helpOfWebhook     = "of this `WEBHOOK` only"
	helpDeliveryState = "in this `STATE` only: pending, delivered or failed"
	helpFailed        = "all that failed"
	helpRotate        = "make a new secret"
	helpOverlap       = "how long the old secret signs beside the new one; 0s ends it at once"

	secretIsNotTold    = "a webhook's secret is told when it is made, and not again: --rotate makes a new one"
	overlapWantsRotate = "--overlap is for --rotate: how long the secret before signs, too"
	webhookWantsFailed = "--webhook is for --failed: a DELIVERY is of one webhook"
)
