package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// stdinPatience is how long a silent stdin is read before we say that we wait for it.
const stdinPatience = 2 * time.Second

// stdinName is where a stdin that is too large for the specification lies in the job.
const stdinName = ".pe-stdin"

// withInputs reads files and stdin, adds them to the specification, and has it
// posted, with what it takes to send those that the gateway wants. The
// specification is checked before anything is read.
func (a *app) withInputs(ctx context.Context, j *jobFlags, spec schemas.JobSpec, post func(schemas.JobSpec, *producer.Inputs, producer.Progress) error) error {
	files, err := j.localFiles()
	if err != nil {
		return err
	}
	if err := a.check(j, spec, files); err != nil {
		return err
	}
	stdin, remove, err := a.readStdin(j)
	if err != nil {
		return err
	}
	defer remove()
	if stdin != nil {
		files = append(files, *stdin)
	}
	inputs, err := producer.Prepare(ctx, files)
	if err != nil {
		return err
	}
	addFiles(&spec, inputs.Files, stdin != nil)
	if problems := spec.Validate(); len(problems) > 0 {
		return j.problems(problems)
	}
	a.screen.doing(phaseSending, "submitting")
	return post(spec, inputs, func(sent, total int64) { a.screen.doing(phaseSending, sendingWords(sent, total)) })
}

func addFiles(spec *schemas.JobSpec, inputs map[string]schemas.File, stdin bool) {
	if stdin {
		spec.Stdin = takeStdin(inputs)
	}
	if spec.Files == nil && len(inputs) > 0 {
		spec.Files = map[string]schemas.File{}
	}
	for name, f := range inputs {
		spec.Files[name] = f
	}
}

// takeStdin moves stdin out of the inputs if it fits into the specification.
func takeStdin(inputs map[string]schemas.File) *schemas.Stdin {
	f := inputs[stdinName]
	if f.SHA256 != "" {
		return &schemas.Stdin{File: stdinName}
	}
	delete(inputs, stdinName)
	return &schemas.Stdin{Text: f.Text, Base64: f.Base64}
}

// check validates the specification with the files' names, before they are read.
func (a *app) check(j *jobFlags, spec schemas.JobSpec, files []producer.LocalFile) error {
	all := make(map[string]schemas.File, len(spec.Files)+len(files))
	for name, f := range spec.Files {
		all[name] = f
	}
	for _, f := range files {
		all[f.Name] = schemas.File{SHA256: schemas.Digest(make([]byte, 32)), Size: f.Size}
	}
	spec.Files = all
	if problems := spec.Validate(); len(problems) > 0 {
		return j.problems(problems)
	}
	return nil
}

func (j *jobFlags) localFiles() ([]producer.LocalFile, error) {
	var all []producer.LocalFile
	for _, arg := range j.files {
		files, err := inputFiles(arg)
		if err != nil {
			return nil, usage(err)
		}
		all = append(all, files...)
	}
	return all, nil
}

// inputFiles reads one -f. A path that is there wins over NAME=PATH, so a file
// with = in its name can be given.
func inputFiles(arg string) ([]producer.LocalFile, error) {
	name, local, named := strings.Cut(arg, "=")
	if _, err := os.Lstat(arg); err == nil || !named {
		name, local = "", arg
	}
	files, err := producer.Files(strings.TrimSuffix(name, "/"), local)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--file %s: there is no %s", printable(arg), printable(local))
	}
	return files, err
}

// readStdin returns what the program is to read, or nil for nothing.
func (a *app) readStdin(j *jobFlags) (*producer.LocalFile, func(), error) {
	name := j.stdin
	if name == "" && j.spec != "-" && sendable(a.Stdin) {
		name = "-"
	}
	if name == "" || name == "none" {
		return nil, func() {}, nil
	}
	f, err := a.readable(name)
	if err != nil {
		return nil, nil, usage(fmt.Errorf("--stdin: %w", err))
	}
	if name != "-" {
		defer f.Close()
	}
	waiting := time.AfterFunc(stdinPatience, func() { a.note(noteWaitingStdin) })
	defer waiting.Stop()
	spooled, remove, err := producer.Spool("stdin", f)
	if err != nil {
		return nil, nil, err
	}
	if spooled.Size == 0 && j.stdin == "" {
		return nil, remove, nil
	}
	spooled.Name = stdinName
	return &spooled, remove, nil
}

// sendable reports whether stdin is a pipe, a socket or a file: not a terminal,
// not /dev/null, not closed.
func sendable(f *os.File) bool {
	if f == nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice == 0 && !info.IsDir()
}
