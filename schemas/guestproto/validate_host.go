package guestproto

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

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
	switch {
	case m.Rehearse && len(m.Argv) > 0:
		return fmt.Errorf("argv %.100q in a rehearsal", m.Argv)
	case !m.Rehearse && (len(m.Argv) == 0 || m.Argv[0] == ""):
		return errors.New("argv is empty")
	}
	for _, s := range append(slices.Concat(m.Argv, m.Env, m.Output.Patterns), m.Cwd, m.User, m.Stdin.Path) {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			return fmt.Errorf("%q holds NUL or is not UTF-8", s)
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
