package history

import "sync"

// tallied is a page as it was at a revision, and the labels that its jobs were asked for.
type tallied struct {
	tenant         string
	page, revision uint64
	labels         string
}

// maxTallies bounds the pages whose jobs are remembered that have some labels.
const maxTallies = 2000

// tallies remember which jobs of pages have some labels: a campaign is counted again
// and again, and its pages do not change.
type tallies struct {
	mu    sync.Mutex
	found map[tallied][]uint8
}

func (t *tallies) get(key tallied) ([]uint8, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.found[key]
	return found, ok
}

func (t *tallies) put(key tallied, found []uint8) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found == nil || len(t.found) >= maxTallies {
		t.found = map[tallied][]uint8{}
	}
	t.found[key] = found
}
