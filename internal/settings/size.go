package settings

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that is written as "512MiB", "2G" or "1048576". It
// is a pflag.Value. K, M, G and T alone are powers of 1024, as in QEMU; KB and
// MB are powers of 1000, KiB and MiB of 1024.
type Size int64

// units in the order in which a size is written, the largest first.
var units = []struct {
	name  string
	bytes float64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// Set parses s. A size is not negative, and below 8 EiB.
func (s *Size) Set(text string) error {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	number, err := strconv.ParseFloat(digits, 64)
	factor, ok := unit(strings.TrimSpace(text[len(digits):]))
	if err != nil || !ok || number < 0 || math.IsNaN(number) {
		return fmt.Errorf("%q is not a size: want a number of bytes, or one with K, M, G or T (512MiB, 2G)", text)
	}
	if bytes := number * factor; bytes < 1<<63 {
		*s = Size(bytes)
		return nil
	}
	return fmt.Errorf("%q is too large a size", text)
}

func unit(name string) (float64, bool) {
	switch strings.ToLower(name) {
	case "", "b":
		return 1, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "tb":
		return 1e12, true
	}
	for _, u := range units {
		if strings.EqualFold(name, u.name) || strings.EqualFold(name, u.name[:1]) {
			return u.bytes, true
		}
	}
	return 0, false
}

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if n := int64(u.bytes); s != 0 && int64(s)%n == 0 {
			return strconv.FormatInt(int64(s)/n, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Type names the kind of value in a command's help.
func (*Size) Type() string { return "size" }
