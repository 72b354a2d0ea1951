package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// Process is what the command has of its process.
type Process struct {
	// Args without the command's own name.
	Args []string
	// Stdin may be nil. Stdout and Stderr are required.
	Stdin          *os.File
	Stdout, Stderr *os.File
	// Getenv reads PE_SERVER, PE_TOKEN and TERM.
	Getenv func(string) string
	// Signals are interrupts: the first cancels the job, the second leaves. May be nil.
	Signals <-chan os.Signal
	// Version of the program.
	Version string
}

// app is one run of the command.
type app struct {
	Process
	server string
	token  string
	json   bool
	quiet  bool
	screen *screen
}

func (a *app) client() (*producer.Client, error) {
	c, err := producer.New(producer.Config{Server: a.server, Token: a.token, UserAgent: "pe/" + a.Version})
	if err != nil {
		return nil, usage(err)
	}
	return c, nil
}

// rewritable reports whether a line on stderr can be rewritten.
func (a *app) rewritable() bool {
	return !a.json && !a.quiet && a.Getenv("TERM") != "dumb" && a.Getenv("TERM") != "" && term.IsTerminal(int(a.Stderr.Fd()))
}

// print writes a JSON document to stdout.
func (a *app) print(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return a.write(append(data, '\n'))
}

func (a *app) write(data []byte) error {
	_, err := a.Stdout.Write(data)
	return err
}

// note says something that is no error; --quiet and --json leave it out.
func (a *app) note(format string, args ...any) {
	if !a.quiet && !a.json {
		a.screen.say(fmt.Sprintf(format, args...))
	}
}

// report says what went wrong, and returns the exit code.
func (a *app) report(err error) int {
	code := codeOf(err)
	var coded *codedError
	if err == nil || code == exitPipe || errors.As(err, &coded) && coded.err == nil {
		return code
	}
	if !a.json {
		a.screen.say(errorText(err))
		return code
	}
	line, err2 := json.Marshal(problemOf(err, code))
	if err2 != nil {
		line = []byte(`{"title":"internal"}`)
	}
	fmt.Fprintf(a.Stderr, "%s\n", line)
	return code
}

// problemOf is an error as a problem document; those of the gateway are passed on.
func problemOf(err error, code int) *schemas.ProblemDocument {
	var p *schemas.ProblemDocument
	if errors.As(err, &p) {
		return p
	}
	kind, title := "client", titleClient
	var unreachable *producer.UnreachableError
	switch {
	case errors.As(err, new(*producer.UnofferedError)):
		kind, title = "no-executor", titleUnoffered
	case errors.As(err, &unreachable):
		kind, title = "unreachable", titleUnreachable
	case errors.Is(err, errInterrupted):
		kind, title = "interrupted", titleInterrupted
	case code == exitUsage || errors.As(err, new(*usageError)):
		kind, title = "usage", titleUsage
	}
	return &schemas.ProblemDocument{Type: schemas.ProblemTypePrefix + kind, Title: title, Detail: err.Error()}
}

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func (a *app) now() time.Time { return time.Now() }

// copyAll copies to stdout.
func (a *app) copyAll(r io.Reader) error {
	_, err := io.Copy(a.Stdout, r)
	return err
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// printEvent writes an event as one line of JSON.
func (a *app) printEvent(e producer.Event) error {
	line := struct {
		Event string `json:"event"`
		Data  any    `json:"data"`
	}{Event: e.Kind}
	switch e.Kind {
	case schemas.StreamStdout, schemas.StreamStderr:
		line.Data = schemas.NewStreamText(e.Offset, e.Data)
	case schemas.StreamStage:
		line.Data = e.Stage
	default:
		line.Data = e.Change
	}
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return a.write(append(data, '\n'))
}
