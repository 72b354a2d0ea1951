package pool

import (
	"slices"
	"testing"
	"time"
)

func TestAdmit(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for name, c := range map[string]struct {
		budget  int64
		kinds   []wanted
		counts  []int
		missing int
	}{
		"nothing": {100, nil, []int{}, 0},
		"what doesn't fit leaves its place to the colder": {
			100, []wanted{{key: "a", heat: 2, target: 1, next: 200}, {key: "b", heat: 1, target: 3, next: 40}}, []int{0, 2}, 2},
		"what all share counts once": {
			100, []wanted{{key: "a", heat: 2, target: 9, next: 20, template: 40}}, []int{3}, 3},
		"without its first machine a kind has no second": {
			100, []wanted{{key: "a", heat: 2, target: 2, held: []int64{300, 10}}}, []int{0}, 0},
		"minima come first, the hottest of them before": {
			100, []wanted{{key: "a", heat: 9, target: 9, next: 30}, {key: "b", heat: 1, low: 1, target: 1, next: 50}, {key: "c", heat: 2, low: 1, target: 1, next: 50}},
			[]int{0, 1, 1}, 2},
		"not much hotter is no reason": {
			100, []wanted{{key: "a", heat: 1.4, target: 1, next: 100}, {key: "b", heat: 1, target: 1, held: []int64{100}}}, []int{0, 1}, 0},
		"much hotter is one": {
			100, []wanted{{key: "a", heat: 1.6, target: 1, next: 100}, {key: "b", heat: 1, target: 1, held: []int64{100}}}, []int{1, 0}, 1},
		"of kinds without any demand the one that has stays": {
			100, []wanted{{key: "a", used: late, target: 1, next: 100}, {key: "b", used: early, target: 1, held: []int64{100}}}, []int{0, 1}, 0},
		"of kinds without any demand the one that was used last comes": {
			100, []wanted{{key: "a", used: early, target: 1, next: 100}, {key: "b", used: late, target: 1, next: 100}}, []int{0, 1}, 1},
		"too many stay for a while": {
			100, []wanted{{key: "a", heat: 1, target: 1, keep: 2, held: []int64{10, 10, 10}}}, []int{2}, 0},
		"no budget": {0, []wanted{{key: "a", heat: 1, low: 1, target: 1, next: 1}}, []int{0}, 0},
	} {
		counts, missing := admit(c.budget, c.kinds, claims(c.kinds))
		if !slices.Equal(counts, c.counts) || len(missing) != c.missing {
			t.Errorf("%s: counts %v, want %v; missing %v, want %d", name, counts, c.counts, missing, c.missing)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expected           float64
		recent             bool
		low, high          int
		wantTarget, wantAt int // and keep
	}{
		{0, true, 0, 8, 1, 1}, {0, false, 0, 8, 0, 0}, {0, false, 2, 8, 2, 2}, {1.9, true, 0, 8, 2, 3},
		{1.5, true, 0, 8, 2, 2}, {2.1, true, 0, 8, 3, 3}, {2.9, false, 0, 8, 2, 3}, {1e30, true, 0, 8, 8, 8},
	} {
		target, keep := targets(c.expected, c.recent, c.low, c.high)
		if target != c.wantTarget || keep != c.wantAt {
			t.Errorf("%+v: got %d, %d", c, target, keep)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 1 << 20: 5 * time.Minute,
	} {
		if got := backoff(failures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
}
