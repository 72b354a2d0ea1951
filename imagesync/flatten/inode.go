package flatten

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"math"
	"strings"
)

const xattrRecord = "SCHILY.xattr."

// keptXattrs are the extended attributes that a program in the image can notice
// and that do it no harm. The overlay's own (trusted.overlay.*, user.overlay.*)
// would let a layer redirect paths in the machine's overlay, and security
// labels belong to the machine that wrote them.
func keptXattr(name string) bool {
	switch {
	case name == "security.capability", name == "system.posix_acl_access", name == "system.posix_acl_default":
		return true
	case strings.HasPrefix(name, "user.overlay."):
		return false
	}
	return strings.HasPrefix(name, "user.") && len(name) > len("user.") && len(name) <= maxName
}

func inodeOf(h *tar.Header, name string, budget *Budget) (*Inode, error) {
	mode, err := modeOf(h, name)
	if err != nil {
		return nil, err
	}
	if h.Uid < 0 || h.Gid < 0 || h.Uid > math.MaxUint32 || h.Gid > math.MaxUint32 {
		return nil, fmt.Errorf("%w: %q has owner %d:%d", ErrInvalid, name, h.Uid, h.Gid)
	}
	inode := &Inode{Mode: mode, UID: uint32(h.Uid), GID: uint32(h.Gid)}
	if at := h.ModTime; at.Unix() >= 0 {
		inode.Sec, inode.Nsec = uint64(at.Unix()), uint32(at.Nanosecond())
	}
	switch mode.Type() {
	case fs.ModeSymlink:
		if len(h.Linkname) == 0 || len(h.Linkname) > maxTarget || strings.ContainsRune(h.Linkname, 0) {
			return nil, fmt.Errorf("%w: symbolic link %q has a target of %d bytes", ErrInvalid, name, len(h.Linkname))
		}
		inode.Target = h.Linkname
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		if h.Devmajor < 0 || h.Devminor < 0 || h.Devmajor >= 1<<12 || h.Devminor >= 1<<20 {
			return nil, fmt.Errorf("%w: device %q has numbers %d, %d", ErrInvalid, name, h.Devmajor, h.Devminor)
		}
		if mode&fs.ModeCharDevice != 0 && h.Devmajor == 0 && h.Devminor == 0 {
			// The machine's overlay would take it for a whiteout.
			return nil, fmt.Errorf("%w: %q is a device with the numbers 0, 0", ErrInvalid, name)
		}
		inode.Major, inode.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	inode.Xattrs, err = xattrsOf(h, name, budget)
	return inode, err
}

func modeOf(h *tar.Header, name string) (fs.FileMode, error) {
	mode := fs.FileMode(h.Mode & 0o777)
	if h.Mode&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if h.Mode&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if h.Mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	switch h.Typeflag {
	case tar.TypeReg, '\x00', tar.TypeCont, tar.TypeGNUSparse:
		if strings.HasSuffix(h.Name, "/") {
			mode |= fs.ModeDir // as version 7 of Unix wrote folders
		} else if name == "" {
			return 0, fmt.Errorf("%w: the root is a file", ErrInvalid)
		}
	case tar.TypeDir:
		mode |= fs.ModeDir
	case tar.TypeSymlink:
		mode = fs.ModeSymlink | 0o777
	case tar.TypeChar:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case tar.TypeBlock:
		mode |= fs.ModeDevice
	case tar.TypeFifo:
		mode |= fs.ModeNamedPipe
	default:
		return 0, fmt.Errorf("%w: %q has the unknown type %q", ErrInvalid, name, h.Typeflag)
	}
	if name == "" && !mode.IsDir() {
		return 0, fmt.Errorf("%w: the root is no folder", ErrInvalid)
	}
	return mode, nil
}

func xattrsOf(h *tar.Header, name string, budget *Budget) (map[string]string, error) {
	var kept map[string]string
	size := 0
	for key, value := range h.PAXRecords {
		attr, found := strings.CutPrefix(key, xattrRecord)
		if !found || !keptXattr(attr) {
			continue
		}
		if size += len(attr) + len(value); size > maxXattrs {
			return nil, &LimitError{Cap: "bytes of extended attributes", Limit: maxXattrs, Path: name}
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[attr] = value
	}
	return kept, budget.addNames(int64(size), name)
}
