package dir

import "sync"

// syncGroup makes puts that wait for the same folder share an fsync. A put may
// join only a sync that has not begun, since one under way may miss its entry.
type syncGroup struct {
	fsync   func(folder string) error
	mu      sync.Mutex
	waiting map[string]*batch // not begun: may be joined
	running map[string]*batch
}

type batch struct {
	done chan struct{}
	err  error
}

func (g *syncGroup) sync(folder string) error {
	g.mu.Lock()
	if b := g.waiting[folder]; b != nil {
		g.mu.Unlock()
		<-b.done
		return b.err
	}
	b := &batch{done: make(chan struct{})}
	if g.waiting == nil {
		g.waiting, g.running = map[string]*batch{}, map[string]*batch{}
	}
	g.waiting[folder] = b
	before := g.running[folder]
	g.mu.Unlock()
	if before != nil {
		<-before.done
	}
	g.lead(folder, b)
	return b.err
}

// lead runs the batch that this caller opened.
func (g *syncGroup) lead(folder string, b *batch) {
	g.mu.Lock()
	delete(g.waiting, folder)
	g.running[folder] = b
	g.mu.Unlock()
	b.err = g.fsync(folder)
	g.mu.Lock()
	if g.running[folder] == b {
		delete(g.running, folder)
	}
	g.mu.Unlock()
	close(b.done)
}

// maxFolders bounds the memory of folders; past it all are forgotten, which
// costs some syncs and nothing else.
const maxFolders = 1 << 16

// folders remembers which folders' own entries are on disk, so that a put into
// a known folder syncs that one folder only.
type folders struct {
	mu     sync.Mutex
	synced map[string]struct{}
	pruned uint64
}

// epoch is to be read before a folder is made or found, and handed to remember.
func (f *folders) epoch() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pruned
}

func (f *folders) known(folder string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.synced[folder]
	return ok
}

// remember is ignored when a folder was pruned since epoch: it might have been
// this one, and the one that is there now another.
func (f *folders) remember(folder string, epoch uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pruned != epoch {
		return
	}
	if f.synced == nil || len(f.synced) >= maxFolders {
		f.synced = map[string]struct{}{}
	}
	f.synced[folder] = struct{}{}
}

func (f *folders) forget(folder string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.synced, folder)
	f.pruned++
}
