package erofsfile

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/program-explorer/pe/imagesync/flatten"
)

// links are the files that have several names. go-erofs gives every name an
// inode and a copy of the data of its own, which makes a 400-name busybox of
// 1 MB an image of 400 MB. So further names are written as empty files, and
// then their directory entries are pointed at the inode of the first.
type links struct {
	// names counts each inode's names, where there is more than one.
	names map[*flatten.Inode]int
	// first is the name, in the tree's order, that is written with the data.
	first map[*flatten.Inode]*flatten.Node
	// folders counts the subfolders of each folder, for its link count.
	folders map[*flatten.Node]int
}

func findLinks(tree *flatten.Tree) *links {
	l := &links{
		names: map[*flatten.Inode]int{}, first: map[*flatten.Inode]*flatten.Node{},
		folders: map[*flatten.Node]int{},
	}
	seen := map[*flatten.Inode]*flatten.Node{}
	for _, n := range tree.Walk() {
		if n.Inode.Mode.IsDir() {
			l.folders[n.Parent()]++
			continue
		}
		first, again := seen[n.Inode]
		if !again {
			seen[n.Inode] = n
			continue
		}
		l.first[n.Inode] = first
		if l.names[n.Inode]++; l.names[n.Inode] == 1 {
			l.names[n.Inode] = 2
		}
	}
	return l
}

// isFurther tells that a node is a file's second or later name.
func (l *links) isFurther(n *flatten.Node) bool {
	first := l.first[n.Inode]
	return first != nil && first != n
}

func (l *links) count(n *flatten.Node) int {
	if n.Inode.Mode.IsDir() {
		return 2 + l.folders[n]
	}
	return max(1, l.names[n.Inode])
}

// join points the directory entries of further names at the first.
func (l *links) join(file interface {
	io.ReaderAt
	io.WriterAt
}, tree *flatten.Tree) error {
	if len(l.first) == 0 {
		return nil
	}
	image, err := openImage(file)
	if err != nil {
		return err
	}
	numbers := map[*flatten.Inode]uint64{} // of first names
	var further []entryAt
	err = image.walk(tree.Root, image.root, func(e entryAt) {
		switch first := l.first[e.node.Inode]; {
		case first == e.node:
			numbers[e.node.Inode] = e.nid
		case first != nil:
			further = append(further, e)
		}
	})
	if err != nil {
		return err
	}
	for _, e := range further {
		var nid [8]byte
		number, found := numbers[e.node.Inode]
		if !found {
			return fmt.Errorf("no inode for %q", e.node.Name)
		}
		binary.LittleEndian.PutUint64(nid[:], number)
		if _, err := file.WriteAt(nid[:], e.offset); err != nil {
			return err
		}
	}
	return nil
}
