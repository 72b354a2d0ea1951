package jobqueue

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/schemas"
)

func FuzzEvent(f *testing.F) {
	const job = "j0000000000000000000000001"
	f.Add(schemas.EventSubject("e1", job, 1, schemas.EventFailed), []byte(`{"tenant":"local","nonce":"n","failure":{"code":"guest","message":"x","retryable":true},"at_us":1}`))
	f.Add(schemas.EventSubject("e1", job, 1, schemas.EventResult), []byte(`{"tenant":"local","nonce":"n","outcome":{"exit_code":0},"result":{"name":"result.json","size":1,"sha256":"sha256:0000000000000000000000000000000000000000000000000000000000000000"},"at_us":1}`))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		n, e, err := decodeEvent(subject, data)
		if err != nil {
			return
		}
		if schemas.EventSubject(n.Executor, n.Job, n.Attempt, n.Kind) != subject {
			t.Errorf("subject %q is taken for %+v", subject, n)
		}
		if (e.Outcome == nil) == (e.Failure == nil) || e.Outcome != nil && e.Result == nil {
			t.Errorf("event %+v", e)
		}
	})
}

func FuzzOffer(f *testing.F) {
	const job = "j0000000000000000000000001"
	f.Add(schemas.OfferSubject("a", schemas.LaneBatch, "local", job), "$JS.ACK.JOBS.a_batch.1.1.1.1.1", []byte(`{"job":"`+job+`","tenant":"local"}`))
	f.Add("jobs.q.a.batch.x.y", "ctl.claim.victim", []byte(`{}`))
	q := &Queue{log: Config{}.withDefaults().Log}
	f.Fuzz(func(t *testing.T, subject, reply string, data []byte) {
		r := &round{q: q, pools: []string{"a"}}
		o, _ := r.read(&nats.Msg{Subject: subject, Reply: reply, Data: data})
		if o != nil && (o.Subject() != subject || !isAck(reply) || o.Pool != "a") {
			t.Errorf("offer %+v of subject %q with reply %q", o.Place, subject, reply)
		}
	})
}

func FuzzSync(f *testing.F) {
	f.Add([]byte(`{"server":{},"data":{"config":{"sync_always":true}}}`))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parseSync(data) })
}

func FuzzRedactURL(f *testing.F) {
	f.Add("nats://u:p@h:1,tls://h2")
	f.Fuzz(func(_ *testing.T, s string) { _ = redactURL(s) })
}
