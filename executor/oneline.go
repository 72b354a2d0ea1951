package executor

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/program-explorer/pe/schemas"
)

// Bounds of what a result says in words, in bytes; a gateway refuses a result beyond them.
const (
	maxMessage = 1024
	maxName    = 256
)

// oneLine makes text that a guest, a registry or a store had a hand in fit for a
// terminal and a log: one line of valid UTF-8 without control characters, of at
// most limit bytes.
func oneLine(text string, limit int) string {
	const cut = "..."
	text = strings.ToValidUTF8(text[:min(len(text), 2*limit)], string(utf8.RuneError))
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, text)
	if len(text) <= limit {
		return text
	}
	return wholeRunes(text[:limit-len(cut)]) + cut
}

// wholeRunes drops the beginning of a character that text was cut in.
func wholeRunes(text string) string {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		tail := text[len(text)-n:]
		if utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				return text[:len(text)-n]
			}
			break
		}
	}
	return text
}

// newFailure is a failure whose message is fit for everybody.
func newFailure(code schemas.FailureCode, message string) *schemas.Failure {
	return schemas.NewFailure(code, oneLine(message, maxMessage))
}
