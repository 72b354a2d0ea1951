//go:build linux

package ocirun

import (
	"encoding/json"
	"path/filepath"
	"strings"
)

// spec is what we use of the OCI runtime specification's config.json.
type spec struct {
	Version  string  `json:"ociVersion"`
	Process  process `json:"process"`
	Root     root    `json:"root"`
	Hostname string  `json:"hostname"`
	Mounts   []mount `json:"mounts"`
	Linux    linux   `json:"linux"`
}

type process struct {
	User            map[string]int      `json:"user"`
	Args            []string            `json:"args"`
	Env             []string            `json:"env"`
	Cwd             string              `json:"cwd"`
	Capabilities    map[string][]string `json:"capabilities"`
	NoNewPrivileges bool                `json:"noNewPrivileges"`
}

type root struct {
	Path string `json:"path"`
}

type mount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options,omitempty"`
}

type linux struct {
	Namespaces    []namespace `json:"namespaces"`
	UIDMappings   []mapping   `json:"uidMappings,omitempty"`
	GIDMappings   []mapping   `json:"gidMappings,omitempty"`
	CgroupsPath   string      `json:"cgroupsPath,omitempty"`
	MaskedPaths   []string    `json:"maskedPaths"`
	ReadonlyPaths []string    `json:"readonlyPaths"`
	Seccomp       seccomp     `json:"seccomp"`
}

type namespace struct {
	Type string `json:"type"`
}

type mapping struct {
	ContainerID int `json:"containerID"`
	HostID      int `json:"hostID"`
	Size        int `json:"size"`
}

// guestInside is where process 1 lies, read-only. /dev is a filesystem of the machine's own, so the image is not touched.
const guestInside = "/dev/.guestrd"

// privileges of process 1 over what is inside: to give files to the job's user, to become it, and to
// read what it left. None is over anything of the host's.
var privileges = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP"}

// newSpec describes a machine to its runtime.
func newSpec(c Config, dir string) spec {
	s := spec{
		Version: "1.0.2",
		Process: process{
			// Of a user that no job can be, so that a job's root can neither signal nor trace it.
			User: map[string]int{"uid": jobIDs, "gid": jobIDs},
			Args: append([]string{guestInside}, c.GuestArgs...),
			Env:  []string{"GOMAXPROCS=2"}, Cwd: "/", NoNewPrivileges: true,
		},
		Root: root{filepath.Join(dir, rootFolder)}, Hostname: c.Hostname,
		Mounts: []mount{
			{"/proc", "proc", "proc", []string{"nosuid", "nodev", "noexec"}},
			{"/dev", "tmpfs", "tmpfs", []string{"nosuid", "noexec", "mode=755", "size=64k"}},
			{"/dev/pts", "devpts", "devpts", []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{"/dev/shm", "bind", filepath.Join(dir, scratchFolder, shmFolder), []string{"bind", "rw", "nosuid", "nodev", "noexec"}},
			{"/sys", "sysfs", "sysfs", []string{"nosuid", "nodev", "noexec", "ro"}},
			{guestInside, "bind", c.Guest, []string{"bind", "ro", "nosuid", "nodev"}},
		},
		Linux: linux{
			MaskedPaths:   []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi", "/proc/sched_debug", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"},
			Seccomp:       denials(c.Runtime.Name == Runsc),
		},
	}
	for _, n := range []string{"pid", "ipc", "uts", "mount", "network", "cgroup"} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, namespace{n})
	}
	held := privileges
	if c.Runtime.Name == Runsc {
		// Over gVisor's own kernel, which is part of the machine.
		held = append(append([]string{}, held...), "CAP_SYS_ADMIN")
	} else {
		s.Linux.CgroupsPath = c.group.runtimePath()
	}
	// The last two keep them through the exec of a process 1 that isn't root.
	s.Process.Capabilities = map[string][]string{"bounding": held, "effective": held, "permitted": held, "inheritable": held, "ambient": held}
	if c.Users != nil {
		s.Linux.Namespaces = append(s.Linux.Namespaces, namespace{"user"})
		all := []mapping{{0, c.Users.Base, idRange}}
		s.Linux.UIDMappings, s.Linux.GIDMappings = all, all
	}
	return s
}

func (s spec) encode() ([]byte, error) { return json.Marshal(s) }

// plain says whether a path can stand in mount options.
func plain(path string) bool { return !strings.ContainsAny(path, ":,\\\n") }
