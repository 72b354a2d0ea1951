package main

import (
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

func TestUnexplainedIsWhatNoSpanCovers(t *testing.T) {
	at := func(us int64) time.Time { return time.UnixMicro(us) }
	span := func(start, end int64) schemas.Span { return schemas.Span{StartUS: start, EndUS: end} }
	cases := map[string]struct {
		spans []schemas.Span
		want  time.Duration
	}{
		"none":                {nil, 100},
		"all":                 {[]schemas.Span{span(0, 100)}, 0},
		"a gap in the middle": {[]schemas.Span{span(0, 40), span(60, 100)}, 20},
		"out of order":        {[]schemas.Span{span(60, 100), span(0, 40)}, 20},
		"overlapping":         {[]schemas.Span{span(0, 50), span(10, 20), span(40, 100)}, 0},
		"beyond both ends":    {[]schemas.Span{span(-50, 30), span(90, 150)}, 60},
		"only outside":        {[]schemas.Span{span(-50, -10), span(150, 160)}, 100},
	}
	for name, c := range cases {
		if got := unexplained(at(0), at(100), c.spans); got != c.want*time.Microsecond {
			t.Errorf("%s: got %v, want %d µs", name, got, c.want)
		}
	}
}
