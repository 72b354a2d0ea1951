package campaign

import "sync"

// due are the keys of campaigns that are to be looked at, each once, by tenant: one
// who has many waits for his own alone.
type due struct {
	mu      sync.Mutex
	tenants map[string]*line
	woken   chan struct{}
}

// line is a tenant's, in the order in which they came.
type line struct {
	keys   []string
	within map[string]bool
	// served says that somebody looks at them.
	served bool
}

func newDue() *due { return &due{tenants: map[string]*line{}, woken: make(chan struct{}, 1)} }

func (d *due) add(tenant, key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.tenants[tenant]
	if l == nil {
		l = &line{within: map[string]bool{}}
		d.tenants[tenant] = l
	}
	if !l.within[key] {
		l.within[key] = true
		l.keys = append(l.keys, key)
	}
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// unserved gives the tenants out that nobody serves: the caller does, until [due.next]
// has nothing more.
func (d *due) unserved() (tenants []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for tenant, l := range d.tenants {
		if !l.served {
			l.served = true
			tenants = append(tenants, tenant)
		}
	}
	return tenants
}

// next takes a tenant's first key; false if there is none.
func (d *due) next(tenant string) (key string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.tenants[tenant]
	if len(l.keys) == 0 {
		delete(d.tenants, tenant)
		return "", false
	}
	key, l.keys = l.keys[0], l.keys[1:]
	delete(l.within, key)
	return key, true
}
