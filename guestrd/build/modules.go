package build

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxModule bounds a module's size after decompression, in bytes.
const maxModule = 32 << 20

// module is one to be loaded.
type module struct {
	name    string
	content []byte // decompressed
}

// index is what depmod knows about a release's modules.
type index struct {
	path    map[string]string   // name → path below the release's folder
	deps    map[string][]string // name → names that it needs
	pre     map[string][]string // name → names or aliases to load first, if they exist
	alias   map[string]string
	builtin map[string]bool
}

// modules returns the wanted ones and all that they need, in an order in which they can be loaded.
func (k *kernel) modules(names []string) ([]module, error) {
	x, err := k.readIndex()
	if err != nil {
		return nil, err
	}
	order, err := x.closure(names)
	if err != nil {
		return nil, fmt.Errorf("resolve modules of %s: %w", k.release, err)
	}
	var all []module
	for _, name := range order {
		content, err := readModule(filepath.Join(k.dir, "lib/modules", k.release, x.path[name]))
		if err != nil {
			return nil, err
		}
		all = append(all, module{name, content})
	}
	return all, nil
}

// readIndex reads depmod's files, and has depmod make them if the package came without.
func (k *kernel) readIndex() (*index, error) {
	dir := filepath.Join(k.dir, "lib/modules", k.release)
	if _, err := os.Stat(filepath.Join(dir, "modules.dep")); errors.Is(err, fs.ErrNotExist) {
		if out, err := exec.Command("depmod", "-b", k.dir, k.release).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("run depmod for %s: %w: %s", k.release, err, bytes.TrimSpace(out))
		}
	}
	x := &index{path: map[string]string{}, deps: map[string][]string{}, pre: map[string][]string{}, alias: map[string]string{}, builtin: map[string]bool{}}
	for name, read := range map[string]func(line string){
		"modules.dep": x.readDep, "modules.softdep": x.readSoftdep, "modules.alias": x.readAlias, "modules.builtin": x.readBuiltin,
	} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && (name == "modules.dep" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("read modules of %s: %w", k.release, err)
		}
		for line := range strings.Lines(string(content)) {
			read(strings.TrimSpace(line))
		}
	}
	return x, nil
}

// readDep reads "path: path path".
func (x *index) readDep(line string) {
	path, needs, ok := strings.Cut(line, ":")
	if !ok {
		return
	}
	name := moduleName(path)
	x.path[name] = path
	for need := range strings.FieldsSeq(needs) {
		x.deps[name] = append(x.deps[name], moduleName(need))
	}
}

// readSoftdep reads "softdep name pre: name name post: name".
func (x *index) readSoftdep(line string) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "softdep" {
		return
	}
	before := false
	for _, w := range words[2:] {
		if strings.HasSuffix(w, ":") {
			before = w == "pre:"
		} else if before {
			x.pre[moduleName(words[1])] = append(x.pre[moduleName(words[1])], w)
		}
	}
}

// readAlias reads "alias pattern name"; the ones wanted here are no patterns.
func (x *index) readAlias(line string) {
	if words := strings.Fields(line); len(words) == 3 && words[0] == "alias" {
		if _, known := x.alias[words[1]]; !known {
			x.alias[words[1]] = moduleName(words[2])
		}
	}
}

func (x *index) readBuiltin(line string) { x.builtin[moduleName(line)] = true }

// closure orders names and their needs, each after what it needs.
func (x *index) closure(names []string) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if seen[name] || x.builtin[name] {
			return nil
		}
		seen[name] = true
		if x.path[name] == "" {
			return fmt.Errorf("module %s: neither in modules.dep nor built in", name)
		}
		for _, soft := range x.pre[name] {
			if err := x.visitSoft(soft, visit); err != nil {
				return err
			}
		}
		for _, need := range x.deps[name] {
			if err := visit(need); err != nil {
				return err
			}
		}
		order = append(order, name)
		return nil
	}
	for _, name := range names {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// visitSoft follows a soft dependency as far as this kernel has it. On riscv64 it is the only
// sign that libcrc32c needs crc32c_generic.
func (x *index) visitSoft(name string, visit func(string) error) error {
	if real, ok := x.alias[name]; ok {
		name = real
	}
	if name = moduleName(name); x.path[name] == "" {
		return nil
	}
	return visit(name)
}

// readModule reads a module and decompresses it: the guest has neither time nor code for that.
func readModule(path string) ([]byte, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	var r io.Reader = bytes.NewReader(file)
	switch filepath.Ext(path) {
	case ".xz":
		r, err = xz.NewReader(r)
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r); err == nil {
			defer z.Close()
			r = z
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decompress module %s: %w", filepath.Base(path), err)
	}
	content, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("decompress module %s: %w", filepath.Base(path), err)
	}
	if len(content) > maxModule {
		return nil, fmt.Errorf("decompress module %s: more than %d bytes", filepath.Base(path), maxModule)
	}
	return content, nil
}
