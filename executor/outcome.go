package executor

import (
	"fmt"
	"slices"

	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// outcome says in the API's words how the program ended.
func outcome(exit guestproto.Exit, packed guestproto.Collected) schemas.Outcome {
	o := schemas.Outcome{Message: oneLine(exit.Message, maxMessage)}
	if exit.Signal != 0 {
		o.Signal = signalName(exit.Signal)
	} else {
		o.ExitCode = &exit.Code
	}
	for _, limit := range exit.LimitsHit {
		hit(&o, limit)
	}
	// A log that was cut is told by its own flag, and ended nothing.
	if slices.Contains(schemas.LimitNames, exit.Limit) {
		o.Limit = exit.Limit
		hit(&o, exit.Limit)
	}
	if packed.Limit != "" {
		overOutput(&o)
	}
	return o
}

// overOutput notes that the outputs exceeded their limit.
func overOutput(o *schemas.Outcome) {
	hit(o, schemas.LimitOutput)
	if o.Limit == "" {
		o.Limit = schemas.LimitOutput
	}
}

// hit adds a limit to those that were hit, once, if the API knows it.
func hit(o *schemas.Outcome, limit string) {
	if slices.Contains(schemas.LimitNames, limit) && !slices.Contains(o.LimitsHit, limit) {
		o.LimitsHit = append(o.LimitsHit, limit)
	}
}

// linuxSignals are the names of a guest's signals from 1 on. The host's own
// table will not do: another system numbers them differently.
var linuxSignals = [...]string{
	"SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE",
	"SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
	"SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
	"SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
}

// firstRealTime is the number of SIGRTMIN as libc has it.
const firstRealTime = 34

func signalName(n int) string {
	switch {
	case n >= 1 && n <= len(linuxSignals):
		return linuxSignals[n-1]
	case n == firstRealTime:
		return "SIGRTMIN"
	case n > firstRealTime && n <= 64:
		return fmt.Sprintf("SIGRTMIN+%d", n-firstRealTime)
	}
	return fmt.Sprintf("SIG%d", n)
}
