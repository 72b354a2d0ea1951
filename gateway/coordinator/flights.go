package coordinator

import "sync"

// flights are tasks, by key, of which each is done once at a time. What comes
// while one is done may be too late for it, so that it is done once more after
// that: once, however much came.
type flights struct {
	mu    sync.Mutex
	again map[string]bool
}

// begin reports whether the caller is to do the task now, and then to call end.
func (f *flights) begin(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, busy := f.again[key]; busy {
		f.again[key] = true
		return false
	}
	if f.again == nil {
		f.again = map[string]bool{}
	}
	f.again[key] = false
	return true
}

// end reports whether the task is to be done again.
func (f *flights) end(key string) (again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	again = f.again[key]
	delete(f.again, key)
	return again
}
