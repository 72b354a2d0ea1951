package vmbench

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"
)

// samples is how often a soak looks at this process's memory.
const samples = 200

// soak restores and throws away, and watches this process's memory meanwhile.
func (b *bench) soak(ctx context.Context) error {
	b.result.How = "restored, replied, thrown away; rss_slope: linear regression of this process's resident memory, the first tenth left out"
	every := max(1, b.Times/samples)
	err := b.together(ctx, func(ctx context.Context, _ int) (*live, error) {
		l, err := b.restore(ctx, b.Snapshot, nil)
		if err != nil {
			return nil, err
		}
		return l, l.close()
	}, func(done int, l *live, took time.Duration) {
		b.sample(done, l, took)
		if done%every == 0 {
			b.result.RSS = append(b.result.RSS, [2]int64{int64(done), ownRSS()})
		}
	})
	if err != nil {
		return err
	}
	per := 1000 * slope(b.result.RSS[len(b.result.RSS)/10:])
	b.result.RSSSlope = &per
	return nil
}

// slope is that of the line through points with the least squares; 0 for less than two.
func slope(points [][2]int64) float64 {
	var x, y, xx, xy float64
	n := float64(len(points))
	for _, p := range points {
		x += float64(p[0])
		y += float64(p[1])
	}
	x, y = x/n, y/n
	for _, p := range points {
		dx := float64(p[0]) - x
		xx += dx * dx
		xy += dx * (float64(p[1]) - y)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// ownRSS is this process's resident memory, in bytes; 0 where it can't be read.
func ownRSS() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
