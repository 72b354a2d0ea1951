package jobqueue

import (
	"context"
	"encoding/json"
	"time"
)

const (
	syncTimeout = time.Second
	// AskServer is the subject where a server says how its JetStream is configured.
	AskServer = "$SYS.REQ.SERVER.PING.JSZ"
)

// checkSync asks the server whether it syncs every write before it
// acknowledges it. An answer gets who is in the system account, or in one that
// this question is exported to: package natsconf does that.
func (q *Queue) checkSync(ctx context.Context) {
	if q.cfg.Synced {
		return
	}
	always, known := q.syncAlways(ctx)
	switch {
	case known && !always:
		q.log.Warn("THE NATS SERVER DOES NOT SYNC ITS WRITES: acknowledged jobs are lost in a power cut. " +
			"Set jetstream { sync_interval: always } in its configuration")
	case !known:
		q.log.Warn("the NATS server cannot be asked whether it syncs its writes: " +
			"make sure that its configuration has jetstream { sync_interval: always }, or acknowledged jobs are lost in a power cut")
	}
}

func (q *Queue) syncAlways(ctx context.Context) (always, known bool) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	msg, err := q.nc.RequestWithContext(ctx, AskServer, nil)
	if err != nil {
		return false, false
	}
	return parseSync(msg.Data)
}

func parseSync(data []byte) (always, known bool) {
	var answer struct {
		Data struct {
			Config *struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"`
		} `json:"data"`
	}
	if json.Unmarshal(data, &answer) != nil || answer.Data.Config == nil {
		return false, false
	}
	return answer.Data.Config.SyncAlways, true
}
