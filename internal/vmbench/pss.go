package vmbench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// pss keeps Times machines, runs the jobs in each, and adds up what they take of the host's memory.
func (b *bench) pss(ctx context.Context) (err error) {
	b.result.How = "the sum of Pss of all QEMUs after the jobs; samples_ms: from the restore's start to the last job's end"
	var all []*live
	defer func() {
		for _, l := range all {
			if closing := l.close(); err == nil {
				err = closing
			}
			b.result.CPUMS = append(b.result.CPUMS, ms(l.cpu))
		}
	}()
	if err := b.together(ctx, b.employ, func(done int, l *live, took time.Duration) {
		all = append(all, l)
		b.result.SamplesMS = append(b.result.SamplesMS, ms(took))
		b.Progress(done, b.Times)
	}); err != nil {
		return err
	}
	mapped := int64(0)
	for _, l := range all {
		total, template, err := pssOf(l.machine.PID())
		if err != nil {
			return err
		}
		b.result.PSSBytes += total
		mapped += template
	}
	b.result.TemplateBytes = b.Snapshot.Resident()
	b.result.TemplateUnmappedBytes = max(0, b.result.TemplateBytes-mapped)
	return nil
}

// employ restores a machine, makes it unlike the others, and runs the jobs in it.
func (b *bench) employ(ctx context.Context, n int) (_ *live, err error) {
	l, err := b.restore(ctx, b.Snapshot, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = l.close()
		}
	}()
	if _, err := l.session.Settle(ctx, 40*time.Millisecond, func() (guestproto.Identity, error) { return identity(n), nil }); err != nil {
		return nil, err
	}
	for _, job := range b.Jobs {
		out, err := l.session.Run(ctx, session.Request{Job: &job})
		if err != nil {
			return nil, err
		}
		if out.Exit.NotStarted || out.Exit.Code != 0 || out.Exit.Signal != 0 || out.Exit.Limit != "" {
			return nil, fmt.Errorf("job %q did not end well: %+v", job.Argv, out.Exit)
		}
	}
	return l, nil
}

func identity(n int) guestproto.Identity {
	random := make([]byte, 80)
	_, _ = rand.Read(random) // it never fails
	return guestproto.Identity{
		Entropy: random[:64], ClockNS: time.Now().UnixNano(),
		Hostname: fmt.Sprintf("bench-%d", n), MachineID: hex.EncodeToString(random[64:]),
	}
}

// pssOf is a process's Pss, in bytes, and the part of it that is shared memory: the
// template, of which each machine maps what it has read.
func pssOf(pid int) (total, template int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of QEMU (only root may, of another user's): %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "Pss":
			total = n << 10
		case "Pss_Shmem":
			template = n << 10
		}
	}
	return total, template, nil
}
