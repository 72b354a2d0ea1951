package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/internal/terminal"
)

// bytesFlag is a size: 512M, 1.5G, 1GiB, or plain bytes. Units are powers of 1024.
type bytesFlag int64

func (b *bytesFlag) String() string { return formatBytes(int64(*b)) }
func (b *bytesFlag) Type() string   { return "size" }

func (b *bytesFlag) Set(s string) error {
	number := strings.TrimRight(s, "kKmMgGtTiIbB")
	factor, ok := unitFactor(strings.ToLower(s[len(number):]))
	v, err := strconv.ParseFloat(number, 64)
	if v *= factor; !ok || err != nil || !(v >= 1) || v > 1<<62 || v != math.Trunc(v) {
		return errors.New(wantSize)
	}
	*b = bytesFlag(v)
	return nil
}

// unitFactor knows k, kb and kib as the same.
func unitFactor(unit string) (float64, bool) {
	if unit == "" || unit == "b" {
		return 1, true
	}
	power := strings.IndexByte("kmgt", unit[0]) + 1
	rest := unit[1:]
	return math.Pow(1024, float64(power)), power > 0 && (rest == "" || rest == "b" || rest == "ib")
}

// durationFlag is a time of whole milliseconds: 90s, 5m, 1h30m, or plain seconds.
type durationFlag time.Duration

func (d *durationFlag) String() string { return time.Duration(*d).String() }
func (d *durationFlag) Type() string   { return "duration" }

func (d *durationFlag) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		v, err = time.ParseDuration(s + "s")
	}
	if err != nil || v < time.Millisecond || v%time.Millisecond != 0 {
		return errors.New(wantDuration)
	}
	*d = durationFlag(v)
	return nil
}

// restFlag is a durationFlag that may be 0: how long something is to go on.
type restFlag time.Duration

func (r *restFlag) String() string { return withoutZero(time.Duration(*r).String()) }
func (r *restFlag) Type() string   { return "duration" }

func (r *restFlag) Set(s string) error {
	if s == "0" || s == "0s" {
		*r = 0
		return nil
	}
	return (*durationFlag)(r).Set(s)
}

func (d durationFlag) milliseconds() int64 { return time.Duration(d).Milliseconds() }

func formatBytes(n int64) string {
	const units = "KMGT"
	v, unit := float64(n), -1
	for v >= 1024 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	if unit < 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', precision(v), 64) + " " + units[unit:unit+1] + "iB"
}

// precision gives three digits or so.
func precision(v float64) int {
	if v < 9.95 && v != math.Trunc(v) {
		return 1
	}
	return 0
}

// formatSpan is a duration for people: 12ms, 1.2s, 3m10s, 2h5m, 3d.
func formatSpan(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
	case d < time.Hour:
		return withoutZero(d.Round(time.Second).String())
	case d < 48*time.Hour:
		return withoutZero(d.Round(time.Minute).String())
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// withoutZero makes 5m of 5m0s, and 2h of 2h0m0s.
func withoutZero(s string) string {
	for _, zero := range []string{"0s", "0m"} {
		if short, ok := strings.CutSuffix(s, zero); ok && strings.TrimRight(short, "hm") != short {
			s = short
		}
	}
	return s
}

// formatAge is how long ago an instant was.
func formatAge(now time.Time, us int64) string {
	d := max(now.Sub(time.UnixMicro(us)), 0)
	if d < time.Second {
		return "now"
	}
	return formatSpan(d.Truncate(time.Second)) + " ago"
}

// printable returns a name as it is if it can be printed on one line, else quoted.
func printable(s string) string { return terminal.Printable(s) }
