// Package webhook tells addresses outside that jobs and campaigns have ended: their own
// callbacks, and the webhooks that a tenant registered. It signs and retries as
// the Standard Webhooks specification has it.
//
// The terminal record is the fact, or the campaign that has ended, and the outbox is
// derived from it: every gateway hears of every end, works out whom to tell, and creates what is missing
// of an entry in the bucket of deliveries, under an id that job or campaign, end and address
// determine. So nothing is lost between the two writes, and a job that nobody
// wants to hear of costs none. An entry is sent by the gateway that holds it, and
// by another once that one has been silent: at least once, and always under the
// same id.
//
// Addresses are a tenant's choice and hostile: what they resolve to is checked
// when it is dialled. The package must not know HTTP's server side, nor executors.
package webhook
