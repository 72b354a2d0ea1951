package chaos

import "testing"

// TestLacksPages: a run that was long and large enough must have made history.
func TestLacksPages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		report
		want bool
	}{
		{report{TookS: 301, Jobs: 2001}, true},
		{report{TookS: 301, Jobs: 2001, Pages: 1, Paged: 256}, false},
		{report{TookS: 301, Jobs: 2001, Pages: 1}, true},
		{report{TookS: 300, Jobs: 10_000}, false},
		{report{TookS: 3000, Jobs: 2000}, false},
	} {
		if got := test.lacksPages(); got != test.want {
			t.Errorf("%+v: lacks pages: %t", test.report, got)
		}
	}
}
