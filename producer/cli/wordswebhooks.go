package cli

// Words of pe webhooks.
const (
	webhooksShort = "Notify addresses when jobs and campaigns end, and see what was sent"
	webhooksLong  = `Notify addresses when jobs end: every job of yours, or only those with some label
or some end, such as job.failed; or when campaigns end. What is sent is signed as the
Standard Webhooks specification has it, and sent again for three days if it fails.

For one job alone use pe run --callback, for one campaign pe campaign create
--callback.`
	webhooksExample = `  pe webhooks add https://example.org/hook --event job.failed --event job.dead
  pe webhooks add https://example.org/hook -l campaign=nightly
  pe webhooks test w01h8x3vz9k6tqc2n4m5p7r0sa
  pe webhooks deliveries --state failed
  pe webhooks replay --failed`

	webhookListShort   = "List the webhooks, and whether they are enabled"
	webhookListExample = `  pe webhooks list
  pe webhooks list --json | jq -r '.webhooks[] | select(.enabled | not) | .id'`
	webhookAddShort = "Add a webhook; prints its id, and the secret that signs"
	webhookAddLong  = `Add a webhook: an address that is notified of jobs that end from now on. Prints its
id and the secret that signs what it is sent: keep the secret, it is not shown again.`
	webhookAddExample = `  pe webhooks add https://example.org/hook --event job.failed --event job.dead
  pe webhooks add https://example.org/hook --event campaign.ended -l campaign=nightly`
	webhookEnableShort    = "Enable a webhook that was disabled"
	webhookEnableExample  = `  pe webhooks enable w01h8x3vz9k6tqc2n4m5p7r0sa`
	webhookDisableShort   = "Disable a webhook: it is sent nothing until it is enabled"
	webhookDisableExample = `  pe webhooks disable w01h8x3vz9k6tqc2n4m5p7r0sa`
	webhookRemoveShort    = "Remove a webhook"
	webhookRemoveExample  = `  pe webhooks remove w01h8x3vz9k6tqc2n4m5p7r0sa`
	webhookTestShort      = "Send a webhook a test, and show what it answers"
	webhookTestLong       = `Send a webhook one event of type webhook.test, now and once, and show what the
receiver answers. Its data.id is the webhook's own id: there is no job. The exit
code is 1 if the answer is no success.`
	webhookTestExample = `  pe webhooks test w01h8x3vz9k6tqc2n4m5p7r0sa
  pe webhooks test w01h8x3vz9k6tqc2n4m5p7r0sa --json | jq .last`
	deliveriesShort = "List what was sent, the newest first"
	deliveriesLong  = `List what was sent to webhooks and callbacks, or is yet to be, the newest first.
With --json, also what was in it, and the head of the answer.`
	deliveriesExample = `  pe webhooks deliveries --state failed
  pe webhooks deliveries --webhook w01h8x3vz9k6tqc2n4m5p7r0sa -n 5
  pe webhooks deliveries --json | jq '.deliveries[0].payload'`
	replayShort = "Send deliveries again"
	replayLong  = `Send deliveries again, under the ids that they had: a receiver that keeps the ids
of what it has seen takes none twice.`
	replayExample = `  pe webhooks replay msg_01h8x3vz9k6tqc2n4m5p7r0sab
  pe webhooks replay --failed --webhook w01h8x3vz9k6tqc2n4m5p7r0sa`
	webhookSecretShort = "Show or replace the secret that signs"
	webhookSecretLong  = `Show the secret that signs callbacks. With --rotate, make a new one: for
callbacks, or for the webhook that is named. The old one signs beside it for the
overlap, so that receivers can be given the new one in time.`
	webhookSecretExample = `  pe webhooks secret
  pe webhooks secret --rotate --overlap 1h
  pe webhooks secret --rotate w01h8x3vz9k6tqc2n4m5p7r0sa`

	helpEvent         = "only this `EVENT`: job.succeeded, job.failed, job.cancelled, job.expired, job.dead, campaign.ended; repeat for more (default all of jobs)"
	helpWithLabel     = "only jobs with this label, `KEY=VALUE`; repeat for more, and all must fit"
	helpOfWebhook     = "of this `WEBHOOK` only"
	helpDeliveryState = "in this `STATE` only: pending, delivered or failed"
	helpFailed        = "all that failed"
	helpRotate        = "make a new secret"
	helpOverlap       = "`TIME` that the old secret signs beside the new one; 0s ends it at once"

	secretIsNotTold    = "a webhook's secret is shown when it is added, and not again: --rotate makes a new one"
	overlapWantsRotate = "--overlap is for --rotate: how long the secret before signs, too"
	webhookWantsFailed = "--webhook is for --failed: a DELIVERY is of one webhook"
)
