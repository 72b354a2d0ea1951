package sandbox

import "fmt"

// A shell's exit codes for programs that can't be run.
const (
	notExecutable = 126
	notFound      = 127
)

// refusal is a job's own mistake, as opposed to the platform's failure.
type refusal struct {
	code    int
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(code int, format string, args ...any) error {
	return &refusal{code: code, message: fmt.Sprintf(format, args...)}
}
