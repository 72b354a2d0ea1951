package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// cgroup is a run's pair of cgroups: "init" for our own child, which must neither be
// counted nor be killed by the job's limits, and "main" for everything that the job starts.
type cgroup struct {
	path   string
	initFD int
	mainFD int
}

// newCgroup makes the pair under path. The child, user base of the machine, may start processes in main.
func newCgroup(path string, base int) (*cgroup, error) {
	g := &cgroup{path: path, initFD: -1, mainFD: -1}
	if err := g.make(base); err != nil {
		g.remove()
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	return g, nil
}

func (g *cgroup) make(base int) error {
	for _, dir := range []string{g.path, g.path + "/init", g.path + "/main"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if dir == g.path {
			if err := g.write("cgroup.subtree_control", "+cpu +memory +pids"); err != nil {
				return err
			}
		}
	}
	if err := g.write("main/memory.oom.group", "1"); err != nil {
		return err
	}
	if err := g.write("main/memory.swap.max", "0"); err != nil && !errors.Is(err, unix.ENOENT) { // a kernel without swap
		return err
	}
	for _, file := range []string{"cgroup.procs", "main/cgroup.procs"} {
		if err := os.Chown(filepath.Join(g.path, file), base, base); err != nil {
			return err
		}
	}
	var err error
	if g.initFD, err = unix.Open(g.path+"/init", unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	g.mainFD, err = unix.Open(g.path+"/main", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return err
}

// limit applies the job's limits to main.
func (g *cgroup) limit(l guestproto.Limits) error {
	values := map[string]string{}
	if l.Memory > 0 {
		values["memory.max"] = strconv.FormatInt(l.Memory, 10)
	}
	if l.PIDs > 0 {
		values["pids.max"] = strconv.FormatInt(l.PIDs, 10)
	}
	if l.CPUsMilli > 0 {
		const periodUS = 100_000
		values["cpu.max"] = strconv.FormatInt(max(1000, l.CPUsMilli*periodUS/1000), 10) + " " + strconv.Itoa(periodUS)
	}
	for file, value := range values {
		if err := g.write("main/"+file, value); err != nil {
			return fmt.Errorf("limit cgroup: %w", err)
		}
	}
	return nil
}

// write and value are used during a run, and with bare descriptors: package os would ask of each
// whether it can be polled, and that takes as long again.
func (g *cgroup) write(file, value string) error {
	fd, err := unix.Open(g.path+"/"+file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer unix.Close(fd)
	if _, err = unix.Write(fd, []byte(value)); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// killMain kills everything that the job started.
func (g *cgroup) killMain() error { return g.write("main/cgroup.kill", "1") }

// killAll kills the child too.
func (g *cgroup) killAll() error { return g.write("cgroup.kill", "1") }

// empty kills what is left of the job and returns when it is gone.
func (g *cgroup) empty(patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for g.value("main/cgroup.events", "populated") != 0 {
		if time.Now().After(deadline) {
			return errors.New("kill the job's processes: some do not die")
		}
		if err := g.killMain(); err != nil {
			return fmt.Errorf("kill the job's processes: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// value reads a number from a file of "key value" lines, or the file's only number with an empty key; 0 if there is none.
func (g *cgroup) value(file, key string) int64 { return valueOf(g.read(file), key) }

// read returns a file's content, or what a page holds of it; nothing if there is no such file.
func (g *cgroup) read(file string) string {
	fd, err := unix.Open(g.path+"/"+file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	page := make([]byte, 4096)
	n, err := unix.Read(fd, page)
	if err != nil {
		return ""
	}
	return string(page[:n])
}

func valueOf(content, key string) int64 {
	for line := range strings.Lines(content) {
		name, number, ok := strings.Cut(strings.TrimSpace(line), " ")
		if key == "" {
			name, number, ok = "", name, true
		}
		if n, err := strconv.ParseInt(number, 10, 64); ok && name == key && err == nil {
			return n
		}
	}
	return 0
}

func (g *cgroup) remove() {
	unix.Close(g.initFD)
	unix.Close(g.mainFD)
	for _, dir := range []string{"/main", "/init", ""} {
		os.Remove(g.path + dir)
	}
}
