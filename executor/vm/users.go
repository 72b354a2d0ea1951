package vm

import "sync"

// Users hands out unprivileged users of the host, so that no two machines at a
// time share one. All runners of a process share one Users.
type Users struct {
	mu    sync.Mutex
	taken []bool
}

func (u *Users) take() int {
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

func (u *Users) give(i int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.taken[i] = false
}
