package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// Exit codes of every command but run and wait, whose codes are the program's;
// their own errors are all [exitPlatform], so that no code has two meanings
// unless the program itself uses 124 or 125.
const (
	exitError    = 1   // anything else: a local file cannot be read or written
	exitUsage    = 2   // the command line or the specification is wrong
	exitServer   = 3   // the gateway cannot be reached, or refused
	exitLimit    = 124 // run, wait: a limit ended the program; as timeout(1) has it
	exitPlatform = 125 // run, wait: there is no exit code of the program; as docker run has it
	exitSignal   = 128 // plus the number of the signal
	exitCancel   = 130 // run, wait: cancelled; 128 + SIGINT
	exitPipe     = 141 // nobody reads our stdout any more; 128 + SIGPIPE
)

// codedError carries the code with which to exit. A nil err has been reported.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string {
	if e.err == nil {
		return "exit code " + strconv.Itoa(e.code)
	}
	return e.err.Error()
}

func (e *codedError) Unwrap() error { return e.err }

func usage(err error) error { return &codedError{exitUsage, &usageError{err}} }

var errInterrupted = errors.New("interrupted")

// codeOf is the exit code for an error.
func codeOf(err error) int {
	var coded *codedError
	var unreachable *producer.UnreachableError
	var problem *schemas.ProblemDocument
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, syscall.EPIPE):
		return exitPipe
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitCancel
	case errors.As(err, &unreachable), errors.As(err, &problem):
		return exitServer
	}
	return exitError
}

// asRun gives an error the code that run and wait have for their own failures.
func asRun(err error) error {
	var coded *codedError
	if err == nil || errors.As(err, &coded) && coded.err == nil {
		return err
	}
	if code := codeOf(err); code == exitCancel || code == exitPipe {
		return &codedError{code, err}
	}
	return &codedError{exitPlatform, err}
}

// jobCode is the exit code for a job that has ended.
func jobCode(job schemas.Job) int {
	switch {
	case job.State == schemas.StateCancelled:
		return exitCancel
	case job.Outcome == nil || job.State != schemas.StateSucceeded && job.State != schemas.StateFailed:
		return exitPlatform
	case job.Outcome.Limit != "":
		return exitLimit
	case job.Outcome.Signal != "":
		return exitSignal + signalNumber(job.Outcome.Signal)
	case job.Outcome.ExitCode != nil:
		return *job.Outcome.ExitCode & 0xff
	}
	return exitPlatform
}

// signalNumber knows Linux's numbers, which are the guest's, whatever this machine has.
func signalNumber(name string) int {
	names := strings.Fields("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS")
	for i, n := range names {
		if name == "SIG"+n {
			return i + 1
		}
	}
	return 0
}
