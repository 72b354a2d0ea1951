package guestproto

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// maxText bounds every line that is meant for people.
const maxText = 1 << 10

// Type methods: one line per message.

func (*Identity) Type() Type     { return TypeIdentity }
func (*Rootfs) Type() Type       { return TypeRootfs }
func (*Freeze) Type() Type       { return TypeFreeze }
func (*Ping) Type() Type         { return TypePing }
func (*Poweroff) Type() Type     { return TypePoweroff }
func (*Job) Type() Type          { return TypeJob }
func (*InputEnd) Type() Type     { return TypeInputEnd }
func (*Start) Type() Type        { return TypeStart }
func (*StdinEnd) Type() Type     { return TypeStdinEnd }
func (*Kill) Type() Type         { return TypeKill }
func (*Ready) Type() Type        { return TypeReady }
func (*IdentityDone) Type() Type { return TypeIdentityDone }
func (*Mounted) Type() Type      { return TypeMounted }
func (*Frozen) Type() Type       { return TypeFrozen }
func (*Pong) Type() Type         { return TypePong }
func (*Staged) Type() Type       { return TypeStaged }
func (*Started) Type() Type      { return TypeStarted }
func (*StdinTaken) Type() Type   { return TypeStdinTaken }
func (*Exit) Type() Type         { return TypeExit }
func (*Collected) Type() Type    { return TypeCollected }
func (*Fault) Type() Type        { return TypeFault }

// Messages without fields, or whose fields may be anything.

func (*Freeze) Validate() error       { return nil }
func (*Ping) Validate() error         { return nil }
func (*Pong) Validate() error         { return nil }
func (*Poweroff) Validate() error     { return nil }
func (*Start) Validate() error        { return nil }
func (*StdinEnd) Validate() error     { return nil }
func (*IdentityDone) Validate() error { return nil }

func (m *Identity) Validate() error {
	switch {
	case len(m.Entropy) < 64 || len(m.Entropy) > 1024:
		return fmt.Errorf("entropy of %d bytes, 64 to 1024 wanted", len(m.Entropy))
	case m.ClockNS <= 0:
		return errors.New("clock is not set")
	case !hostname(m.Hostname):
		return fmt.Errorf("hostname %q", m.Hostname)
	case len(m.MachineID) != 32 || !hexadecimal(m.MachineID):
		return fmt.Errorf("machine id %q", m.MachineID)
	}
	return nil
}

func (m *Rootfs) Validate() error {
	if m.FS != FSErofs && m.FS != FSHost {
		return fmt.Errorf("filesystem %q", m.FS)
	}
	if (m.FS == FSErofs) != (m.Serial != "") || (m.FS == FSHost && len(m.Data) > 0) {
		return fmt.Errorf("filesystem %s with serial %q", m.FS, m.Serial)
	}
	for _, s := range append([]string{m.Serial}, m.Data...) {
		if m.FS == FSErofs && !serial(s) {
			return fmt.Errorf("serial %q", s)
		}
	}
	return nil
}

func (m *Job) Validate() error {
	if len(m.Argv) == 0 || m.Argv[0] == "" {
		return errors.New("argv is empty")
	}
	for _, s := range append(slices.Concat(m.Argv, m.Env, m.Output.Patterns), m.Cwd, m.User, m.Stdin.Path) {
		if strings.ContainsRune(s, 0) {
			return fmt.Errorf("NUL in %q", s)
		}
	}
	if !path.IsAbs(m.Cwd) || path.Clean(m.Cwd) != m.Cwd {
		return fmt.Errorf("cwd %q is not a clean absolute path", m.Cwd)
	}
	if (m.Stdin.Via == ViaFile) != (m.Stdin.Path != "") || !slices.Contains([]string{ViaNone, ViaChannel, ViaFile}, m.Stdin.Via) {
		return fmt.Errorf("stdin via %q with path %q", m.Stdin.Via, m.Stdin.Path)
	}
	if err := place("input", m.Input.Via, m.Input.Serial); err != nil {
		return err
	}
	if m.Input.Size < 0 || m.Input.Via == ViaNone && m.Input.Size != 0 {
		return fmt.Errorf("input of %d bytes", m.Input.Size)
	}
	if err := place("output", m.Output.Via, m.Output.Serial); err != nil {
		return err
	}
	return m.Limits.validate()
}

func (l Limits) validate() error {
	for _, v := range []int64{l.CPUMS, l.CPUsMilli, l.Memory, l.PIDs, l.Output, l.Log} {
		if v < 0 {
			return errors.New("negative limit")
		}
	}
	if l.WallMS <= 0 || l.Scratch <= 0 {
		return errors.New("wall and scratch limits are wanted")
	}
	return nil
}

// place checks a Via of none, channel or disk.
func place(what, via, disk string) error {
	ok := via == ViaNone || via == ViaChannel
	if via == ViaDisk {
		ok = serial(disk)
	} else if disk != "" {
		ok = false
	}
	if !ok {
		return fmt.Errorf("%s via %q with serial %q", what, via, disk)
	}
	return nil
}

func (m *InputEnd) Validate() error { return counts(m.Size) }

func (m *Kill) Validate() error {
	if m.Limit != "" && !limit(m.Limit) {
		return fmt.Errorf("limit %q", m.Limit)
	}
	return texts(m.Reason)
}

func (m *Ready) Validate() error {
	if !slices.Contains([]string{"amd64", "arm64", "riscv64"}, m.Arch) {
		return fmt.Errorf("arch %q", m.Arch)
	}
	if err := limits(m.Enforces); err != nil {
		return err
	}
	return errors.Join(counts(int64(m.Protocol), m.BootUS), texts(m.Kernel, m.CPUModel, m.Guest))
}

func (m *Mounted) Validate() error    { return counts(m.TookUS) }
func (m *Frozen) Validate() error     { return counts(m.Bytes) }
func (m *Started) Validate() error    { return counts(m.SinceStartUS) }
func (m *StdinTaken) Validate() error { return counts(m.Total) }
func (m *Staged) Validate() error {
	return counts(m.Bytes, m.Entries, m.UnpackUS, m.PrepareUS)
}

func (m *Exit) Validate() error {
	if m.Code < 0 || m.Code > 255 || m.Signal < 0 || m.Signal > 64 || m.Code != 0 && m.Signal != 0 {
		return fmt.Errorf("code %d with signal %d", m.Code, m.Signal)
	}
	if m.NotStarted && (m.Code == 0 || m.Message == "") {
		return errors.New("not started, without code or message")
	}
	if m.Limit != "" && !slices.Contains(m.LimitsHit, m.Limit) {
		return fmt.Errorf("limit %q is not among those hit", m.Limit)
	}
	if err := limits(m.LimitsHit); err != nil {
		return err
	}
	r := m.Rusage
	return errors.Join(texts(m.Message), counts(m.WallUS, m.ReapUS, r.UserUS, r.SysUS, r.MaxRSS,
		r.MemoryPeak, r.MinorFaults, r.MajorFaults, r.VoluntarySw, r.InvoluntarySw))
}

func (m *Collected) Validate() error {
	if (m.Bytes == 0) != (m.SHA256 == "") || m.SHA256 != "" && (len(m.SHA256) != 64 || !hexadecimal(m.SHA256)) {
		return fmt.Errorf("%d bytes with digest %q", m.Bytes, m.SHA256)
	}
	if m.Limit != "" && m.Limit != LimitOutput {
		return fmt.Errorf("limit %q", m.Limit)
	}
	if len(m.SkippedPaths) > 16 {
		return fmt.Errorf("%d skipped paths, at most 16", len(m.SkippedPaths))
	}
	return errors.Join(texts(m.SkippedPaths...), counts(m.Bytes, m.Entries, m.Skipped, m.PackUS))
}

func (m *Fault) Validate() error {
	switch m.Code {
	case FaultSetup, FaultIdentity, FaultRootfs, FaultInput, FaultJob, FaultOutput, FaultProtocol:
		return texts(m.Message)
	}
	return fmt.Errorf("code %q", m.Code)
}

func counts(values ...int64) error {
	for _, v := range values {
		if v < 0 {
			return fmt.Errorf("negative value %d", v)
		}
	}
	return nil
}

func texts(lines ...string) error {
	for _, s := range lines {
		if len(s) > maxText {
			return fmt.Errorf("text of %d bytes, at most %d", len(s), maxText)
		}
	}
	return nil
}

func limits(names []string) error {
	for i, n := range names {
		if !limit(n) || i > 0 && names[i-1] >= n {
			return fmt.Errorf("limits %q are not a sorted set", names)
		}
	}
	return nil
}

func limit(s string) bool {
	switch s {
	case LimitWall, LimitCPU, LimitMemory, LimitPIDs, LimitScratch, LimitOutput, LimitLog:
		return true
	}
	return false
}

// serial is what a virtio disk can carry: at most 20 bytes; ours are [a-z0-9-].
func serial(s string) bool { return len(s) <= 20 && hostname(s) }

func hostname(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func hexadecimal(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
