// Package cli is the pe command: flags and terminal around the SDK of package
// producer.
//
// It is what a person sees of a job's life. It must not know more of the
// system than the SDK tells.
//
// # Rules of the terminal interface
//
//   - stdout holds what was asked for and nothing else: the program's stdout, a
//     job's id, a table, a JSON document. Everything that we say goes to stderr.
//   - A message is one line, begins with "pe: ", is in lower case, and says what
//     to do next where something can be done.
//   - The progress line is on stderr, only if that is a terminal that can rewrite
//     a line. It appears after half a second, is cleared before anything else is
//     written, and leaves no trace. Several jobs have a line each; where no line
//     can be rewritten, each change of theirs is a message.
//   - A table lines up in any script. It is cut to a terminal's width, what is
//     copied into other commands last; into a pipe it is never cut.
//   - No colour, no box, no emoji: nothing depends on what the terminal can do.
//     NO_COLOR is honoured trivially, and a dumb terminal sees the same lines.
//   - Names that others chose are quoted where they hold anything unprintable. A
//     program's own output is passed on as it is: it is what the user asked for.
//   - With --json, stdout holds one JSON document (or one per line), and an
//     error is a problem document on one line of stderr.
//   - The exit code of run and wait is the program's, as far as there is one; see exit.go.
//   - Ctrl-C cancels the job; the second leaves at once.
//   - All wording is in words.go.
package cli
