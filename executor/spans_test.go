package executor

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/schemas"
)

func TestTimelineTiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		line := &timeline{stage: func(name string) { told = append(told, name) }}
		zero := time.Now()
		ms := func(n int) int64 { return zero.Add(time.Duration(n) * time.Millisecond).UnixMicro() }
		wait := func(n int) { time.Sleep(time.Duration(n) * time.Millisecond) } // in the bubble's own time
		line.add(schemas.Span{Name: "claimed", StartUS: ms(0), EndUS: ms(0)})
		wait(1) // between two stages
		end := line.begin("staged")
		wait(10)
		end()
		wait(2)
		end = line.begin("staged") // its inputs, after its image
		wait(5)
		end()
		line.add(schemas.Span{Name: "running", StartUS: ms(18), EndUS: ms(30)}, schemas.Span{Name: "collected", StartUS: ms(30), EndUS: ms(31)})
		wait(20)
		line.begin("collected")()
		want := []schemas.Span{
			{Name: "claimed", StartUS: ms(0), EndUS: ms(0)},
			{Name: "staged", StartUS: ms(0), EndUS: ms(18)},
			{Name: "running", StartUS: ms(18), EndUS: ms(30)},
			{Name: "collected", StartUS: ms(30), EndUS: ms(38)},
		}
		if got := line.sorted(); !slices.Equal(got, want) {
			t.Errorf("spans %+v, want %+v", got, want)
		}
		if !slices.Equal(told, []string{"staged", "collected"}) {
			t.Errorf("told %q", told)
		}
	})
}

func TestSpansNeverEndBeforeTheyStart(t *testing.T) {
	t.Parallel()
	line := &timeline{}
	line.add(schemas.Span{Name: "queued", StartUS: 100, EndUS: 50}, schemas.Span{Name: "uploaded", StartUS: time.Now().Add(time.Hour).UnixMicro()})
	line.begin("collected")() // the clock was set back by an hour
	for _, s := range line.sorted() {
		if s.EndUS < s.StartUS {
			t.Errorf("span %+v", s)
		}
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2)
		for range 2 {
			if err := s.take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		third := make(chan error, 1)
		go func() { third <- s.take(t.Context()) }()
		synctest.Wait()
		if len(third) != 0 {
			t.Error("two slots were taken three times")
		}
		s.give()
		if err := <-third; err != nil {
			t.Error(err)
		}
		idle := make(chan struct{})
		go func() { s.waitAll(); close(idle) }()
		s.give()
		synctest.Wait()
		select {
		case <-idle:
			t.Error("idle with a slot taken")
		default:
		}
		s.give()
		<-idle
	})
}
