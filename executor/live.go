package executor

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// liveFeed tells whoever watches what happens in an attempt, as it happens.
// Nothing of it is kept or waited for.
type liveFeed struct {
	queue    *jobqueue.Queue
	executor string
	log      *slog.Logger
}

func (l *liveFeed) stage(h schemas.Held, name string) { l.detail(h, name, "") }

// detail says more of a stage, for people.
func (l *liveFeed) detail(h schemas.Held, name, text string) {
	l.publish(h, schemas.LiveStage, schemas.Stage{Name: name, AtUS: time.Now().UnixMicro(), Detail: text})
}

// pulling is an image's progress in words.
func pulling(p imagesync.Progress) string {
	if p.Total <= 0 {
		return "pulling the image"
	}
	return fmt.Sprintf("pulling the image, %d%% of %d MiB", 100*min(p.Done, p.Total)/p.Total, (p.Total+1<<20-1)>>20)
}

func (l *liveFeed) chunk(h schemas.Held, kind string, offset int64, p []byte) {
	for piece := range slices.Chunk(p, schemas.MaxLogChunk) {
		l.publish(h, kind, schemas.LogChunk{Offset: offset, Data: piece})
		offset += int64(len(piece))
	}
}

func (l *liveFeed) publish(h schemas.Held, kind string, body any) {
	name := jobqueue.LiveName{Executor: l.executor, Job: h.Job, Attempt: h.Attempt, Kind: kind}
	if err := l.queue.PublishLive(name, body); err != nil {
		l.log.Debug("live message lost", "job", h.Job, "kind", kind, "err", err)
	}
}
