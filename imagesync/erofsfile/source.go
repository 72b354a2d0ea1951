package erofsfile

import (
	"context"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/erofs/go-erofs"

	"github.com/program-explorer/pe/imagesync/flatten"
)

// source shows a tree to go-erofs as an [fs.FS].
type source struct {
	ctx   context.Context
	tree  *flatten.Tree
	links *links
}

func (s *source) find(op, name string) (*flatten.Node, error) {
	n := s.tree.Root
	if name == "." {
		return n, nil
	}
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if n = n.Child(part); n == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// Open implements [fs.FS].
func (s *source) Open(name string) (fs.File, error) {
	n, err := s.find("open", name)
	if err != nil {
		return nil, err
	}
	i := n.Inode
	return &openFile{
		Reader: &exactReader{ctx: s.ctx, data: i.Data, at: i.Offset, left: i.Size},
		info:   s.info(n),
	}, nil
}

// Stat implements [fs.StatFS].
func (s *source) Stat(name string) (fs.FileInfo, error) {
	n, err := s.find("stat", name)
	if err != nil {
		return nil, err
	}
	return s.info(n), nil
}

// ReadDir implements [fs.ReadDirFS].
func (s *source) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := s.find("readdir", name)
	if err != nil {
		return nil, err
	}
	children := n.Children()
	entries := make([]fs.DirEntry, len(children))
	for i, child := range children {
		entries[i] = fs.FileInfoToDirEntry(s.info(child))
	}
	return entries, s.ctx.Err()
}

// ReadLink is found by go-erofs through an interface of its own.
func (s *source) ReadLink(name string) (string, error) {
	n, err := s.find("readlink", name)
	if err != nil {
		return "", err
	}
	return n.Inode.Target, nil
}

type openFile struct {
	io.Reader
	info fs.FileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

// info describes a node. A further name of a file is shown as an empty one: its
// directory entry is pointed at the first name's inode afterwards.
func (s *source) info(n *flatten.Node) fs.FileInfo {
	i := n.Inode
	f := &fileInfo{name: n.Name, inode: i}
	f.stat = erofs.Stat{
		Mode: i.Mode, UID: i.UID, GID: i.GID, Mtime: i.Sec, MtimeNs: i.Nsec,
		Nlink: s.links.count(n), Rdev: encodeDevice(i.Major, i.Minor), Xattrs: xattrs(i),
	}
	if !s.links.isFurther(n) {
		f.stat.Size = i.Size
		if i.Mode.Type() == fs.ModeSymlink {
			f.stat.Size = int64(len(i.Target))
		}
	} else {
		f.stat.Xattrs = nil
	}
	return f
}

type fileInfo struct {
	name  string
	inode *flatten.Inode
	stat  erofs.Stat
}

func (f *fileInfo) Name() string       { return f.name }
func (f *fileInfo) Size() int64        { return f.stat.Size }
func (f *fileInfo) Mode() fs.FileMode  { return f.inode.Mode }
func (f *fileInfo) ModTime() time.Time { return time.Unix(int64(f.inode.Sec), int64(f.inode.Nsec)) }
func (f *fileInfo) IsDir() bool        { return f.inode.Mode.IsDir() }
func (f *fileInfo) Sys() any           { return &f.stat }

// encodeDevice is the kernel's new_encode_dev, which is what EROFS stores.
func encodeDevice(major, minor uint32) uint32 {
	return minor&0xff | major<<8 | (minor&^0xff)<<12
}

// xattrs returns an inode's extended attributes under the names by which
// go-erofs finds their index on disk. For ACLs it wants a dot after the name
// and, without it, writes an attribute that the kernel does not show.
func xattrs(i *flatten.Inode) map[string]string {
	if len(i.Xattrs) == 0 {
		return nil
	}
	named := make(map[string]string, len(i.Xattrs))
	for name, value := range i.Xattrs {
		if strings.HasPrefix(name, "system.posix_acl_") {
			name += "."
		}
		named[name] = value
	}
	return named
}
