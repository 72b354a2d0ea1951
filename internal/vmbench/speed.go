package vmbench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// restores takes one restore and one boot after the other, alone, and then restores with all workers at once.
func (b *bench) restores(ctx context.Context) error {
	r := &b.result
	r.How = "samples_ms: restores one at a time, each followed by a boot of the same machine; per_second: restored, replied and thrown away by all workers at once, without boots"
	for i := range b.Times {
		restored, err := b.restore(ctx, b.Snapshot, nil)
		if err != nil {
			return err
		}
		if err := restored.close(); err != nil {
			return err
		}
		booted, err := b.boot(ctx)
		if err != nil {
			return err
		}
		if err := booted.close(); err != nil {
			return err
		}
		r.SamplesMS, r.CPUMS = append(r.SamplesMS, ms(restored.replied.Sub(restored.began))), append(r.CPUMS, ms(restored.cpu))
		r.BootMS, r.BootCPUMS = append(r.BootMS, ms(booted.replied.Sub(booted.began))), append(r.BootCPUMS, ms(booted.cpu))
		b.Progress(i+1, 2*b.Times)
	}
	return b.together(ctx, func(ctx context.Context, _ int) (*live, error) {
		l, err := b.restore(ctx, b.Snapshot, nil)
		if err != nil {
			return nil, err
		}
		return l, l.close()
	}, func(done int, _ *live, _ time.Duration) { b.Progress(b.Times+done, 2*b.Times) })
}

// discards load a machine and throw it away.
func (b *bench) discards(ctx context.Context) error {
	b.result.How = "samples_ms: from the restore's start to the end of its QEMU, after the first reply"
	return b.together(ctx, func(ctx context.Context, _ int) (*live, error) {
		l, err := b.restore(ctx, b.Snapshot, nil)
		if err != nil {
			return nil, err
		}
		return l, l.close()
	}, b.sample)
}

// sample notes one machine's life.
func (b *bench) sample(done int, l *live, took time.Duration) {
	b.result.SamplesMS, b.result.CPUMS = append(b.result.SamplesMS, ms(took)), append(b.result.CPUMS, ms(l.cpu))
	b.Progress(done, b.Times)
}

// together has all workers do the thing until it was done Times times, or one failed. One at a time is
// heard of each. Machines may outlive it.
func (b *bench) together(ctx context.Context, do func(ctx context.Context, n int) (*live, error), hear func(done int, l *live, took time.Duration)) error {
	var (
		workers errgroup.Group // without a context of its own, whose end would be the machines'
		failed  atomic.Bool
		next    atomic.Int64
		hearing sync.Mutex
		heard   int
	)
	began := time.Now()
	for range b.Workers {
		workers.Go(func() error {
			for !failed.Load() {
				n := int(next.Add(1))
				if n > b.Times {
					break
				}
				start := time.Now()
				l, err := do(ctx, n)
				if err != nil {
					failed.Store(true)
					return err
				}
				took := time.Since(start)
				hearing.Lock()
				heard++
				hear(heard, l, took)
				hearing.Unlock()
			}
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	b.result.PerSecond = float64(b.Times) / time.Since(began).Seconds()
	return nil
}
