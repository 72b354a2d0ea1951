package dir

import "sync"

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
