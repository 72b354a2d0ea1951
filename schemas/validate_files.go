package schemas

import (
	"cmp"
	"encoding/base64"
	"maps"
	"path"
	"slices"
	"strings"
)

func (s JobSpec) validateFiles(ps *problems) {
	if len(s.Files) > MaxFiles {
		ps.add("/files", "has %d files; at most %d: pack them into one archive", len(s.Files), MaxFiles)
		return
	}
	cwd := s.Cwd
	if !path.IsAbs(cwd) {
		cwd = DefaultCwd // a relative one is a problem of its own, and has no root to climb to
	}
	placed := map[string]string{} // absolute path → key
	for _, key := range sortedKeys(s.Files) {
		at := pointer("/files").member(key)
		s.Files[key].validate(ps, at)
		if !validateFilePath(ps, at, key) {
			continue
		}
		abs := key
		if !path.IsAbs(key) {
			abs = path.Join(cwd, key)
		}
		switch other, taken := placed[abs]; {
		case taken:
			ps.add(at, "is the same place as %s: name it once", other)
		case under(abs, forbiddenDirs) || under(abs, []string{OutputDir}):
			ps.add(at, "want a place that is not below /proc, /sys, /dev or %s", OutputDir)
		case under(cwd, []string{abs}):
			ps.add(at, "is the working directory, or a folder above it: want a file's name")
		}
		placed[abs] = key
	}
	validateParents(ps, placed)
}

// validateParents finds files that would also have to be folders. Sorted as
// paths, what lies below a file comes right behind it; climbing from each file
// would take minutes for deep paths.
func validateParents(ps *problems, placed map[string]string) {
	paths := slices.SortedFunc(maps.Keys(placed), comparePaths)
	for i := 1; i < len(paths); i++ {
		if under(paths[i], paths[i-1:i]) {
			ps.add(pointer("/files").member(placed[paths[i-1]]), "is a file, and the folder of %s too: rename one", placed[paths[i]])
		}
	}
}

// comparePaths orders a slash before all else that a name can hold.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

func validateFilePath(ps *problems, at pointer, name string) bool {
	if !validateText(ps, at, name) || !validatePathSize(ps, at, name) {
		return false
	}
	clean := path.Clean(name)
	switch {
	case name == "" || clean == "/" || clean == ".":
		ps.add(at, "want the path of a file, absolute or relative to cwd")
	case slices.Contains(strings.Split(name, "/"), ".."):
		ps.add(at, "want a path without ..")
	case clean != name:
		ps.add(at, "want a path without . or extra slashes: %s", clean)
	default:
		return true
	}
	return false
}

func validatePathSize(ps *problems, at pointer, name string) bool {
	if len(name) > MaxPathBytes {
		ps.add(at, "has %d bytes; at most %d", len(name), MaxPathBytes)
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > MaxNameBytes {
			ps.add(at, "has a part of %d bytes; at most %d between slashes", len(part), MaxNameBytes)
			return false
		}
	}
	return true
}

func (f File) validate(ps *problems, at pointer) {
	if n := countSet(f.Text != nil, f.Base64 != nil, f.SHA256 != ""); n != 1 {
		ps.add(at, "want exactly one of text, base64 and sha256; %d are set", n)
	}
	if f.Base64 != nil {
		validateBase64(ps, at.member("base64"), *f.Base64)
	}
	if f.SHA256 != "" {
		if _, err := ParseDigest(f.SHA256); err != nil {
			ps.add(at.member("sha256"), "want sha256: and 64 lower-case hex digits")
		}
	}
	if f.Size < 0 || f.Size > 0 && f.SHA256 == "" {
		ps.add(at.member("size"), "is the size of an uploaded blob, in bytes, and belongs beside sha256 alone")
	}
	if f.Mode != "" && !modePattern.MatchString(f.Mode) {
		ps.add(at.member("mode"), `want three octal digits, such as "0644" or "755"`)
	}
}

func validateBase64(ps *problems, at pointer, s string) {
	// Strict alone still skips line breaks, which JSON Schema and other readers do not.
	if _, err := base64.StdEncoding.Strict().DecodeString(s); err != nil || strings.ContainsAny(s, "\r\n") {
		ps.add(at, "want standard base64 with padding, on one line")
	}
}

func (s JobSpec) validateStdin(ps *problems) {
	if s.Stdin == nil {
		return
	}
	const at = pointer("/stdin")
	in := *s.Stdin
	if n := countSet(in.Text != nil, in.Base64 != nil, in.File != ""); n != 1 {
		ps.add(at, "want exactly one of text, base64 and file; %d are set", n)
	}
	if in.Base64 != nil {
		validateBase64(ps, at.member("base64"), *in.Base64)
	}
	if _, ok := s.Files[in.File]; in.File != "" && !ok {
		ps.add(at.member("file"), "want a path that files has too; %.200q is not there", in.File)
	}
}

func (s JobSpec) validateOutputs(ps *problems) {
	if len(s.Outputs) > MaxOutputGlobs {
		ps.add("/outputs", "has %d patterns; at most %d", len(s.Outputs), MaxOutputGlobs)
		return
	}
	for i, glob := range s.Outputs {
		validateGlob(ps, pointer("/outputs").item(i), glob)
	}
}

func validateGlob(ps *problems, at pointer, glob string) {
	if !validateText(ps, at, glob) || !validatePathSize(ps, at, glob) {
		return
	}
	_, err := path.Match(glob, "")
	switch rest, inside := strings.CutPrefix(glob, OutputDir+"/"); {
	case glob == "":
		ps.add(at, "want a pattern, such as **/*.png")
	case inside:
		ps.add(at, "want a pattern relative to %s: %s", OutputDir, rest)
	case path.IsAbs(glob):
		ps.add(at, "want a pattern relative to %s; only what lies there is collected", OutputDir)
	case slices.Contains(strings.Split(glob, "/"), ".."):
		ps.add(at, "want a pattern without ..")
	case path.Clean(glob) != glob:
		ps.add(at, "want a pattern without . or extra slashes: %s", path.Clean(glob))
	case err != nil:
		ps.add(at, "is no pattern: close every [ and end in no backslash")
	}
}

// under reports whether name is one of dirs or below one.
func under(name string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		rest, ok := strings.CutPrefix(name, dir)
		return ok && (rest == "" || rest[0] == '/')
	})
}

func countSet(set ...bool) int {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n
}
