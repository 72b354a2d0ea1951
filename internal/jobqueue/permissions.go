package jobqueue

import "github.com/program-explorer/pe/schemas"

// Permissions of a NATS user: subjects that it may publish and subscribe to.
type Permissions struct {
	Publish, Subscribe []string
	// Responses: it may answer each request that it gets, once.
	Responses bool
}

// GatewayPermissions are all that a gateway's user needs: every subject of this
// project, its streams and buckets, and their backup. An executor in the gateway's own
// process (`ped up`) is that user, too.
func GatewayPermissions() Permissions {
	return Permissions{
		Publish: []string{
			"$JS.>",
			"$KV.>",
			"jobs.q.>",
			"evt.>",
			"live.>",
			"ctl.>",
			"cmd.>",
			inboxPrefix(">"),
			AskServer,
		},
		Subscribe: []string{
			"_INBOX.>",
			inboxPrefix(">"),
			"live.>",
			"ctl.>",
			"cmd.>",
		},
	}
}

// ExecutorPermissions are all that an executor's user needs. It may pull and
// acknowledge offers of its trust domain's stream, report under its own name,
// ask gateways under its own name, and hear its own commands. It sees no
// bucket and makes no consumer.
//
// The pull's reply subject and the acknowledged message are not checked by the
// server, so executors of one domain can take offers from each other, and make
// the server deliver an offer to somebody's subject: that is why every handler
// of this package rejects a message whose own subject is not what it expects.
// What cannot reject is a bucket: it keeps the answer to a pull or a report in the
// place of a value whose key the executor knows. So these permissions keep secrets,
// and do not stop sabotage.
func ExecutorPermissions(executor string) Permissions {
	return Permissions{
		Publish: []string{
			"$JS.API.CONSUMER.MSG.NEXT." + schemas.StreamJobs + ".*",
			"$JS.ACK." + schemas.StreamJobs + ".>",
			"ctl.*." + executor,
			"evt." + executor + ".*.*.*",
			"live." + executor + ".*.*.*",
		},
		Subscribe: []string{
			inboxPrefix(executor) + ".>",
			schemas.CommandSubject(executor, "*"),
		},
		Responses: true,
	}
}

// inboxPrefix is of the inboxes that an executor gets its answers in.
func inboxPrefix(executor string) string { return "_EXECUTOR." + executor }
