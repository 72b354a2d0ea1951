package dir

import (
	"context"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"github.com/program-explorer/pe/internal/objstore"
)

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	if err := objstore.ValidatePrefix(prefix); err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	limit, err := objstore.CheckLimit(limit)
	if err != nil {
		return nil, fmt.Errorf("list objects %s: %w", prefix, err)
	}
	l := &lister{ctx: ctx, store: s, prefix: prefix, after: after, limit: limit}
	top := ""
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		top = prefix[:i]
	}
	if err := l.walk(top); err != nil {
		return nil, fmt.Errorf("list objects %s: %w", prefix, err)
	}
	return l.found, nil
}

type lister struct {
	ctx           context.Context // of this one List call
	store         *Store
	prefix, after string
	limit         int
	found         []objstore.Info
}

// child is an entry of a folder under the name that it has in keys: folders end in a slash.
type child struct {
	key   string
	entry fs.DirEntry
}

// walk visits the folder of keys below top ("" is all) in byte order of the keys.
func (l *lister) walk(top string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	children, err := l.children(top)
	if err != nil {
		return err
	}
	for _, c := range children {
		if len(l.found) == l.limit {
			return nil
		}
		if strings.HasSuffix(c.key, "/") {
			err = l.walk(strings.TrimSuffix(c.key, "/"))
		} else {
			err = l.add(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) children(top string) ([]child, error) {
	name := objDir
	if top != "" {
		name += "/" + top
		top += "/"
	}
	entries, err := fs.ReadDir(l.store.root.FS(), name)
	if absent(err) {
		return nil, nil // pruned meanwhile, or never there
	}
	if err != nil {
		return nil, err
	}
	var children []child
	for _, e := range entries {
		key := top + e.Name()
		if e.IsDir() {
			key += "/"
		} else if key = strings.TrimSuffix(key, suffix); len(key) == len(top)+len(e.Name()) {
			continue // not ours
		}
		if l.wanted(key) {
			children = append(children, child{key, e})
		}
	}
	sort.Slice(children, func(i, j int) bool { return children[i].key < children[j].key })
	return children, nil
}

// wanted tells whether key, or for a folder something below it, can be in the page.
func (l *lister) wanted(key string) bool {
	if strings.HasSuffix(key, "/") {
		inside := strings.HasPrefix(key, l.prefix) || strings.HasPrefix(l.prefix, key)
		return inside && (key > l.after || strings.HasPrefix(l.after, key))
	}
	return strings.HasPrefix(key, l.prefix) && key > l.after
}

func (l *lister) add(c child) error {
	st, err := c.entry.Info()
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Size() < trailerSize {
		return nil
	}
	l.found = append(l.found, objstore.Info{Key: c.key, Size: st.Size() - trailerSize, ModTime: st.ModTime()})
	return nil
}
