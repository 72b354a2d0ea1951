package terminal

import "testing"

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "",
		"alice/jobs/j1/1/a.txt": "alice/jobs/j1/1/a.txt",
		"grüße 世界":              "grüße 世界",
		"\x1b[31mred":           `"\x1b[31mred"`,
		"two\nlines":            `"two\nlines"`,
		"not \xff UTF-8":        `"not \xff UTF-8"`,
		"right\u202eto left":    `"right\u202eto left"`,
		`a "quoted" back\slash`: `"a \"quoted\" back\\slash"`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
