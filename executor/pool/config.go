package pool

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is machines that are all alike: those of one snapshot.
type Kind[M Machine] struct {
	// Key tells kinds apart. Required.
	Key string
	// Name is for logs and metrics; several kinds may have one. How many names
	// there are is the caller's concern.
	Name string
	// Min and Max are how many wait, at least and at most. Min machines come before
	// all other kinds' further ones, and are there without any demand; but the
	// budget, and pressure, go before Min. Max 0: both are Config's defaults.
	Min, Max int
	// MachineBytes is what a machine costs the host, in bytes: an estimate until
	// Measure has corrected it. Default 64 MiB.
	MachineBytes int64
	// Measure says what a machine costs that has just been made, in bytes; 0 if that
	// can't be told, and the estimate stays. Default nil: MachineBytes is right.
	Measure func(M) int64
	// TemplateBytes is what all machines of the kind share, in bytes. It is counted
	// once, from the first Make until Release. It is asked at each Want and after each Make,
	// so it must be quick. Default nil: nothing.
	TemplateBytes func() int64
	// Make makes a machine that is ready for a job. It may be slow, but must end when
	// ctx does. Several calls may run at once, if Config.Makers is over 1. Required.
	Make func(ctx context.Context) (M, error)
	// Release lets go of what the kind's machines share. It is called when none of
	// them waits, is being made or is being ended, and none is to be made soon; not
	// while Make runs, and never twice without a Make between. Machines that were taken may still be alive.
	// Make may be called again afterwards, and must then acquire anew what it needs.
	Release func()
}

func (k Kind[M]) templateBytes() int64 {
	if k.TemplateBytes == nil {
		return 0
	}
	return max(k.TemplateBytes(), 0)
}

// Config of a pool.
type Config struct {
	// Budget is what all machines that wait, are being made or ended may cost the
	// host together, with what they share, in bytes. Default 0: nothing waits.
	Budget int64
	// DefaultMin and DefaultMax are for kinds that don't say. Defaults 0 and 8.
	DefaultMin, DefaultMax int
	// Makers is how many machines are made at once. Default 1.
	Makers int
	// MakeTimeout bounds the making of one machine. Default 2 minutes.
	MakeTimeout time.Duration
	// MaxAge is how long a machine waits before another takes its place, as soon as
	// one can be made. Default 1 hour.
	MaxAge time.Duration
	// Idle is how long after its last use a kind has at least one machine waiting.
	// Default 5 minutes.
	Idle time.Duration
	// Pressure says that the host is short of memory: then nothing is made, and
	// each second a quarter of what waits is ended. It is asked once a second while
	// there are kinds. MemoryPressure is one. Default nil: never.
	Pressure func() bool
	// Metrics registers the pool's metrics. Several pools of one registry need a
	// label each: see prometheus.WrapRegistererWith. Default: nowhere.
	Metrics prometheus.Registerer
	// Log default: discard.
	Log *slog.Logger
}

// defaultBytes is the estimate for machines of which nothing is known.
const defaultBytes = 64 << 20

func (c Config) withDefaults() Config {
	c.Makers = max(c.Makers, 1)
	setDefault(&c.DefaultMax, 8)
	setDefault(&c.MakeTimeout, 2*time.Minute)
	setDefault(&c.MaxAge, time.Hour)
	setDefault(&c.Idle, 5*time.Minute)
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// bounds completes a kind's Min and Max.
func (c Config) bounds(low, high int) (int, int) {
	if high <= 0 {
		low, high = c.DefaultMin, c.DefaultMax
	}
	return min(max(low, 0), high), high
}
