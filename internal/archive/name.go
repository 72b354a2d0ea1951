package archive

import (
	"path"
	"strings"
)

// CleanName gives the canonical form of an entry's name: relative, without
// empty or "." segments. "." stands for the root itself. Absolute names, ".."
// and NUL give a *RefusedError, long or deep ones a *LimitError.
func CleanName(name string, l Limits) (string, error) {
	l = l.WithDefaults()
	if len(name) > l.MaxPath {
		return "", &LimitError{What: LimitPath, Max: int64(l.MaxPath), Path: name[:min(len(name), 64)] + "..."}
	}
	switch {
	case name == "":
		return "", &RefusedError{name, "empty name"}
	case name[0] == '/':
		return "", &RefusedError{name, "absolute name"}
	case strings.IndexByte(name, 0) >= 0:
		return "", &RefusedError{name, "name holds a zero byte"}
	}
	depth := 0
	for segment := range strings.SplitSeq(name, "/") {
		switch segment {
		case "", ".":
		case "..":
			return "", &RefusedError{name, "name holds .."}
		default:
			depth++
		}
	}
	if depth > l.MaxDepth {
		return "", &LimitError{What: LimitDepth, Max: int64(l.MaxDepth), Path: name}
	}
	return path.Clean(name), nil
}

// CheckLink tells whether a symlink called name (as CleanName gives it) with
// this target stays inside the archive, whatever other such links there are.
//
// Climbing (..) is allowed at the beginning of the target only, and not past
// the root: the folder of a link is always a real one, so climbing from there
// is known, while "folder/.." may lead anywhere once folder is a link itself.
func CheckLink(name, target string, l Limits) error {
	l = l.WithDefaults()
	switch {
	case target == "":
		return &RefusedError{name, "link without a target"}
	case len(target) > l.MaxPath:
		return &LimitError{What: LimitPath, Max: int64(l.MaxPath), Path: name}
	case target[0] == '/':
		return &RefusedError{name, "link to an absolute name"}
	case strings.IndexByte(target, 0) >= 0:
		return &RefusedError{name, "link target holds a zero byte"}
	}
	up, down := strings.Count(name, "/"), false
	for segment := range strings.SplitSeq(target, "/") {
		switch segment {
		case "", ".":
		case "..":
			if down {
				return &RefusedError{name, "link climbs after it descends"}
			}
			if up--; up < 0 {
				return &RefusedError{name, "link leaves the archive"}
			}
		default:
			down = true
		}
	}
	return nil
}
