package guestproto

import (
	"errors"
	"fmt"
	"slices"
)

func (m *Ready) Validate() error {
	if !slices.Contains([]string{"amd64", "arm64", "riscv64"}, m.Arch) {
		return fmt.Errorf("arch %.40q", m.Arch)
	}
	if err := errors.Join(limits(m.Enforces), features(m.Features)); err != nil {
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
		return fmt.Errorf("limit %.40q is not among those hit", m.Limit)
	}
	if err := limits(m.LimitsHit); err != nil {
		return err
	}
	r := m.Rusage
	return errors.Join(texts(m.Message), counts(m.WallUS, m.ReapUS, r.UserUS, r.SysUS, r.MaxRSS,
		r.MemoryPeak, r.MinorFaults, r.MajorFaults, r.VoluntarySw, r.InvoluntarySw))
}

func (m *Collected) Validate() error {
	if m.Limit != "" && m.Limit != LimitOutput {
		return fmt.Errorf("limit %.40q", m.Limit)
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
	return fmt.Errorf("code %.40q", m.Code)
}
