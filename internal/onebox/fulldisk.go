package onebox

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/gateway/api"
)

const (
	// roomNeeded is how much must be free before a server goes on whose disk was full, in bytes.
	roomNeeded = 16 << 20
	roomEvery  = time.Second
)

// mend starts the server anew, until ctx ends, each time its disk was full and has
// room again: a stream that could not be written once takes no message any more.
func (e *embedded) mend(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.full:
		}
		e.waits.Store(true)
		e.log.Error("the disk of the queue is full: no job is taken until there is room", "dir", e.dir)
		if !e.awaitRoom(ctx) {
			return nil
		}
		e.stop()
		if err := e.start(); err != nil {
			return err
		}
		select {
		case <-e.full: // told while it was stopped
		default:
		}
		e.waits.Store(false)
		e.log.Info("the disk of the queue has room again", "dir", e.dir)
	}
}

// hasRoom fails while the server cannot write, or soon could not. It is asked by /readyz.
func (e *embedded) hasRoom(context.Context) error {
	free, err := freeBytes(e.dir)
	switch {
	case err != nil:
		return fmt.Errorf("look at the disk of the queue: %w", err)
	case free < roomNeeded:
		return api.Reason(fmt.Sprintf("the disk of the queue is full: %d MiB are free, %d MiB are needed", free>>20, roomNeeded>>20))
	case e.waits.Load():
		return api.Reason("the disk of the queue was full, and the queue begins anew")
	}
	return nil
}

// awaitRoom reports false if ctx ended before.
func (e *embedded) awaitRoom(ctx context.Context) bool {
	for {
		if free, err := freeBytes(e.dir); err != nil || free >= roomNeeded {
			return true // the start says what is wrong
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(roomEvery):
		}
	}
}

// freeBytes is how much a process without privileges may still write to a filesystem.
func freeBytes(dir string) (int64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return int64(fs.Bavail) * int64(fs.Bsize), err
}
