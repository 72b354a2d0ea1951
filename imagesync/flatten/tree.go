package flatten

import (
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
)

// Node is a name in the tree.
type Node struct {
	Name  string
	Inode *Inode

	parent   *Node
	children map[string]*Node
	// depth and pathLen describe the way from the root, to cap both.
	depth, pathLen int
}

// Child returns the entry of that name, or nil.
func (n *Node) Child(name string) *Node { return n.children[name] }

// Parent returns the folder that the node is in, or nil for the root.
func (n *Node) Parent() *Node { return n.parent }

// Children returns the entries sorted by name.
func (n *Node) Children() []*Node {
	names := slices.Sorted(maps.Keys(n.children))
	list := make([]*Node, len(names))
	for i, name := range names {
		list[i] = n.children[name]
	}
	return list
}

// Walk yields the path, without leading slash, and node of everything below the
// root in a fixed order, parents first.
func (t *Tree) Walk() iter.Seq2[string, *Node] {
	return func(yield func(string, *Node) bool) {
		var walk func(prefix string, n *Node) bool
		walk = func(prefix string, n *Node) bool {
			for _, child := range n.Children() {
				at := path.Join(prefix, child.Name)
				if !yield(at, child) || !walk(at, child) {
					return false
				}
			}
			return true
		}
		walk("", t.Root)
	}
}

// Tree is the flattened image.
type Tree struct {
	Root *Node

	limits Limits
	// nodes and lookups are what building the tree has cost so far.
	nodes, lookups int64
}

// NewTree returns an empty tree: a root folder of mode 0755 owned by root.
func NewTree(limits Limits) *Tree {
	return &Tree{
		Root:   &Node{Inode: implicitDir()},
		limits: limits.WithDefaults(),
	}
}

// implicitDir is a folder that no layer describes. Its time is fixed, so that
// the same layers always give the same tree.
func implicitDir() *Inode { return &Inode{Mode: fs.ModeDir | 0o755} }

// Apply puts a layer on top of those applied before. After an error the tree is
// of no use.
func (t *Tree) Apply(l *Layer) error {
	// Whiteouts hide lower layers only, wherever in the archive they stand: so
	// they come first.
	for _, p := range l.opaques {
		if err := t.hideChildren(p); err != nil {
			return err
		}
	}
	for _, p := range l.whiteouts {
		if err := t.hide(p); err != nil {
			return err
		}
	}
	for _, r := range l.records {
		if err := t.put(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) hide(p string) error {
	dir, base := path.Split(p)
	parent, err := t.folder(dir, false)
	if err != nil || parent == nil {
		return err
	}
	t.remove(parent, base)
	return nil
}

func (t *Tree) hideChildren(p string) error {
	dir, err := t.folder(p, false)
	if err != nil || dir == nil {
		return err
	}
	for name := range dir.children {
		t.remove(dir, name)
	}
	return nil
}

func (t *Tree) put(r record) error {
	if r.path == "" {
		t.Root.Inode = r.inode
		return nil
	}
	dir, base := path.Split(r.path)
	parent, err := t.folder(dir, true)
	if err != nil {
		return err
	}
	inode := r.inode
	if inode == nil {
		if inode, err = t.linked(r); err != nil {
			return err
		}
	}
	old := parent.children[base]
	if old != nil && old.Inode.Mode.IsDir() && inode.Mode.IsDir() {
		old.Inode = inode
		return nil
	}
	if old != nil && old.Inode == inode {
		return nil // a hard link to itself
	}
	t.remove(parent, base)
	_, err = t.add(parent, base, inode)
	return err
}

// linked finds the file that a hard link names, in this layer or a lower one.
// Its last name is not followed, as in link(2).
func (t *Tree) linked(r record) (*Inode, error) {
	dir, base := path.Split(r.link)
	parent, err := t.folder(dir, false)
	if err != nil {
		return nil, err
	}
	var target *Node
	if parent != nil {
		target = parent.children[base]
	}
	if target == nil {
		return nil, fmt.Errorf("%w: hard link %q to %q, which is not there", ErrInvalid, r.path, r.link)
	}
	if target.Inode.Mode.IsDir() {
		return nil, fmt.Errorf("%w: hard link %q to the folder %q", ErrInvalid, r.path, r.link)
	}
	return target.Inode, nil
}

// folder walks to a folder, following symbolic links inside the tree. Without
// create it returns nil for a folder that is not there; with it, missing ones are made.
func (t *Tree) folder(p string, create bool) (*Node, error) {
	at, rest, followed := t.Root, p, 0
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if t.lookups++; t.lookups > lookupsPerEntry*t.limits.Entries {
			return nil, &LimitError{Cap: "path look-ups", Limit: lookupsPerEntry * t.limits.Entries, Path: p}
		}
		switch name {
		case "", ".":
			continue
		case "..":
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		next := at.children[name]
		switch {
		case next == nil && !create:
			return nil, nil
		case next == nil:
			var err error
			if next, err = t.add(at, name, implicitDir()); err != nil {
				return nil, err
			}
		case next.Inode.Mode.Type() == fs.ModeSymlink:
			if followed++; followed > maxFollowed {
				return nil, fmt.Errorf("%w: %w", ErrInvalid, &LimitError{Cap: "symbolic links followed", Limit: maxFollowed, Path: p})
			}
			if strings.HasPrefix(next.Inode.Target, "/") {
				at = t.Root
			}
			rest = next.Inode.Target + "/" + rest
			continue
		case !next.Inode.Mode.IsDir():
			if !create {
				return nil, nil
			}
			return nil, fmt.Errorf("%w: %q is below the file %q", ErrInvalid, p, name)
		}
		at = next
	}
	return at, nil
}

func (t *Tree) add(parent *Node, name string, inode *Inode) (*Node, error) {
	n := &Node{
		Name: name, Inode: inode, parent: parent,
		depth: parent.depth + 1, pathLen: parent.pathLen + 1 + len(name),
	}
	switch {
	case len(name) > maxName:
		return nil, &LimitError{Cap: "bytes in a file name", Limit: maxName, Path: name}
	case n.depth > t.limits.Depth:
		return nil, &LimitError{Cap: "levels of folders", Limit: int64(t.limits.Depth), Path: name}
	case n.pathLen > t.limits.Path:
		return nil, &LimitError{Cap: "bytes in a path", Limit: int64(t.limits.Path), Path: name}
	}
	if t.nodes++; t.nodes > t.limits.Entries {
		return nil, &LimitError{Cap: "entries", Limit: t.limits.Entries, Path: name}
	}
	if parent.children == nil {
		parent.children = map[string]*Node{}
	}
	parent.children[name] = n
	return n, nil
}

// remove takes a name and all below it out of the tree. What was below keeps
// counting: making and hiding a million files in turn is no less work.
func (t *Tree) remove(parent *Node, name string) { delete(parent.children, name) }

// Size is the sum of the sizes of all files, each counted once however many
// hard links it has. It is an error for it to exceed the cap on bytes.
func (t *Tree) Size() (int64, error) {
	var sum int64
	seen := map[*Inode]bool{}
	for p, n := range t.Walk() {
		if n.Inode.Size == 0 || seen[n.Inode] {
			continue
		}
		seen[n.Inode] = true
		if n.Inode.Size > t.limits.Bytes-sum {
			return 0, &LimitError{Cap: "bytes of files", Limit: t.limits.Bytes, Path: p}
		}
		sum += n.Inode.Size
	}
	return sum, nil
}
