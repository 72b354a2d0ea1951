package campaign

import "sync"

// due are the keys of campaigns that are to be looked at, each once.
type due struct {
	mu    sync.Mutex
	keys  map[string]struct{}
	woken chan struct{}
}

func newDue() *due { return &due{keys: map[string]struct{}{}, woken: make(chan struct{}, 1)} }

func (d *due) add(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys[key] = struct{}{}
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// take gives all of them out.
func (d *due) take() (keys []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.keys {
		keys = append(keys, key)
	}
	clear(d.keys)
	return keys
}
