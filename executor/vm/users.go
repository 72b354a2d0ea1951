package vm

import "sync"

// users hands out unprivileged users of the host, so that no two machines at a
// time share one.
type users struct {
	mu    sync.Mutex
	taken []bool
}

func (u *users) take() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, taken := range u.taken {
		if !taken {
			u.taken[i] = true
			return i
		}
	}
	u.taken = append(u.taken, true)
	return len(u.taken) - 1
}

func (u *users) give(i int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.taken[i] = false
}
