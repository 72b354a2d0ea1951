package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// What a machine weighs where CPUs are short: one in the background has a tenth
// of another's share. Where they aren't, it is as fast as any.
const (
	normalWeight, lowWeight = 100, 10   // cgroups, version 2
	normalShares, lowShares = 1024, 102 // version 1
	lowNice                 = 10        // steps of niceness, each of which is worth about a fifth
)

// lower puts a process, which waits at its gate, into the background. So QEMU is
// there from its first instruction, with all the threads that it will have.
func (p *process) lower(c Config) error {
	if c.Cgroups == nil {
		p.raise = lowerNice(p.pid)
		return nil
	}
	p.raise = func() error { return c.Cgroups.weigh(p.cgroup, normalWeight, normalShares) }
	return c.Cgroups.weigh(p.cgroup, lowWeight, lowShares)
}

// weigh sets a machine's share of CPUs.
func (c *Cgroups) weigh(g cgroup, weight, shares int) error {
	file, value := "cpu.weight", weight
	if c.v2 == "" {
		file, value = "cpu.shares", shares
	}
	dir := g[len(g)-1] // version 1: memory, cpu
	return os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(value)), 0)
}

// Foreground gives a machine that was started with Config.Background the CPU share
// of any other: call it when a job takes the machine. For other machines, and a
// second time, it changes nothing. An error, which a machine that has ended gives
// too, leaves it slow but sound.
func (m *Machine) Foreground() error {
	if m.process.raise == nil {
		return nil
	}
	if err := m.Err(); err != nil {
		return fmt.Errorf("bring machine to the foreground: %w", err)
	}
	if err := m.process.raise(); err != nil {
		return fmt.Errorf("bring machine %s to the foreground: %w", m.instance, err)
	}
	return nil
}
