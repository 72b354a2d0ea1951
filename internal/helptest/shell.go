package helptest

import "strings"

// calls are the arguments of each call of a program in a line of shell.
func calls(text, program string) (found [][]string) {
	var words []string
	end := func() {
		for len(words) > 0 && (starts[words[0]] || isAssignment(words[0])) {
			if words[0] == "xargs" {
				words = append(words, "what-it-reads")
			}
			words = words[1:]
		}
		if len(words) > 0 && words[0] == program {
			found = append(found, words[1:])
		}
		words = nil
	}
	s := shell{rest: text}
	for {
		word, separator, ok := s.next()
		if !ok {
			break
		}
		if separator {
			end()
			continue
		}
		for _, inner := range substitutions(word) {
			found = append(found, calls(inner, program)...)
		}
		words = append(words, word)
	}
	end()
	return found
}

// starts are words before a command, in which it may be run.
var starts = map[string]bool{"do": true, "while": true, "then": true, "if": true, "xargs": true, "-r": true}

// isAssignment is true of NAME=VALUE before a command.
func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// substitutions are the commands in $(…); within single quotes there are none.
func substitutions(word string) (inner []string) {
	for {
		_, after, ok := strings.Cut(word, "$(")
		if !ok {
			return inner
		}
		text, rest, _ := strings.Cut(after, ")")
		inner, word = append(inner, text), rest
	}
}

// shell takes a line apart as far as examples need it.
type shell struct{ rest string }

// next is a word without its quotes, or what separates commands. Redirections and
// comments are left out.
func (s *shell) next() (word string, separator, ok bool) {
	s.rest = strings.TrimLeft(s.rest, " \t")
	switch {
	case s.rest == "", s.rest[0] == '#':
		return "", false, false
	case strings.IndexByte("|;&", s.rest[0]) >= 0:
		s.rest = strings.TrimLeft(s.rest, "|;&")
		return "", true, true
	}
	word = s.word()
	if target, isRedirection := strings.CutPrefix(strings.TrimLeft(word, "012"), ">"); isRedirection {
		if target == "" {
			s.rest = strings.TrimLeft(s.rest, " \t")
			s.word() // the file
		}
		return s.next()
	}
	return word, false, true
}

func (s *shell) word() string {
	var word strings.Builder
	for s.rest != "" {
		c := s.rest[0]
		switch {
		case strings.IndexByte(" \t|;&", c) >= 0:
			return word.String()
		case c == '\'' || c == '"':
			text, after, _ := strings.Cut(s.rest[1:], string(c))
			if c == '\'' {
				text = strings.ReplaceAll(text, "$(", "$\x00(") // not the shell's
			}
			word.WriteString(text)
			s.rest = after
		case strings.HasPrefix(s.rest, "$("):
			text, after, _ := strings.Cut(s.rest, ")")
			word.WriteString(text + ")")
			s.rest = after
		default:
			word.WriteByte(c)
			s.rest = s.rest[1:]
		}
	}
	return word.String()
}
