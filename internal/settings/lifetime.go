package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Lifetime is how long something is kept, written as "7d", "36h" or "1d12h";
// "forever" and 0 are without end. It is a pflag.Value.
type Lifetime time.Duration

// forever is how the zero Lifetime is written.
const forever = "forever"

const (
	day = 24 * time.Hour
	// maxDays keeps sums of an instant and a lifetime far from overflowing.
	maxDays = 100 * 365
)

// Set parses s: whole days with a d, then what [time.ParseDuration] takes. It is
// not negative, and at most 100 years.
func (l *Lifetime) Set(s string) error {
	if s == forever || s == "0" {
		*l = 0
		return nil
	}
	total := time.Duration(0)
	days, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		rest = s
	} else {
		n, err := strconv.ParseUint(days, 10, 31)
		if err != nil || n > maxDays {
			return badLifetime(s)
		}
		total = time.Duration(n) * day
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return badLifetime(s)
		}
		total += d
	}
	if total <= 0 || total > maxDays*day {
		return badLifetime(s)
	}
	*l = Lifetime(total)
	return nil
}

func badLifetime(s string) error {
	return fmt.Errorf("%q is not a time to keep something: want 7d, 36h, 1d12h, or forever", s)
}

// String writes whole days as such.
func (l Lifetime) String() string {
	switch d := time.Duration(l); {
	case d == 0:
		return forever
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	default:
		return d.String()
	}
}

// Type names the kind of value in a command's help.
func (*Lifetime) Type() string { return "lifetime" }
