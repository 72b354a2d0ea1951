package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Read reads a job; [ErrNotFound] if it has gone since its place was found.
func (h *History) Read(ctx context.Context, at Place) (schemas.HistoryJob, error) {
	text, err := h.text(ctx, at)
	if err != nil {
		return schemas.HistoryJob{}, fmt.Errorf("read job %s in history: %w", at.Job, err)
	}
	if at.at < text.Len() {
		if job, err := text.Job(at.at); err != nil || job.Record.ID == at.Job {
			return job, err
		}
	}
	for i := range text.Len() { // the page was rewritten since
		if job, err := text.Job(i); err != nil || job.Record.ID == at.Job {
			return job, err
		}
	}
	return schemas.HistoryJob{}, fmt.Errorf("job %s: %w", at.Job, ErrNotFound)
}

// readTimeout bounds reading a page, for whoever waits for it.
const readTimeout = 10 * time.Second

// text is a page's text, read once for all who want it at the same time.
func (h *History) text(ctx context.Context, at Place) (*schemas.HistoryText, error) {
	key := schemas.HistoryKey(at.Tenant, at.page)
	if text := h.texts.get(key, at.revision); text != nil {
		return text, nil
	}
	read := h.reads.DoChan(key+"@"+strconv.FormatUint(at.revision, 10), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		e, err := h.bucket.Get(ctx, key)
		if errors.Is(err, jobqueue.ErrNotFound) {
			err = ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		text, err := schemas.OpenHistory(at.Tenant, e.Value)
		if err == nil {
			h.texts.put(key, e.Revision, text)
		}
		return text, err
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-read:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*schemas.HistoryText), nil
	}
}

// textCacheBytes bounds the pages whose text is kept: those that were read last.
const textCacheBytes = 8 << 20

type textCache struct {
	mu    sync.Mutex
	texts []cachedText // the one that was used last is last
	bytes int
}

type cachedText struct {
	key      string
	revision uint64
	text     *schemas.HistoryText
}

// get is nil if the page is not there as of the revision.
func (c *textCache) get(key string, revision uint64) *schemas.HistoryText {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.texts, func(t cachedText) bool { return t.key == key })
	if i < 0 || c.texts[i].revision < revision {
		return nil
	}
	t := c.texts[i]
	c.texts = append(slices.Delete(c.texts, i, i+1), t)
	return t.text
}

func (c *textCache) put(key string, revision uint64, text *schemas.HistoryText) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.texts, func(t cachedText) bool { return t.key == key }); i >= 0 {
		c.drop(i)
	}
	c.texts = append(c.texts, cachedText{key, revision, text})
	for c.bytes += text.Size(); c.bytes > textCacheBytes && len(c.texts) > 1; {
		c.drop(0)
	}
}

func (c *textCache) drop(i int) {
	c.bytes -= c.texts[i].text.Size()
	c.texts = slices.Delete(c.texts, i, i+1)
}
