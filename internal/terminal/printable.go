// Package terminal keeps what comes from elsewhere, a name or a message, from
// doing things to the terminal that it is shown on. It knows nothing of what is shown.
package terminal

import "strconv"

// Printable quotes what would not be printed as it is: control characters, and
// those that make a text look like another one.
func Printable(s string) string {
	if quoted := strconv.Quote(s); quoted[1:len(quoted)-1] != s {
		return quoted
	}
	return s
}
