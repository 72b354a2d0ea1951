package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// The wording of run --on.
const (
	leftOut         = "left out"
	nobodyThere     = "--on all: no executor is there now that offers what the job requires; pe executors lists who is known"
	flagOnOne       = "`TARGET` such as arm64-vm or executor:cellar; or a label KEY=VALUE that it must have (repeatable)"
	onlyRunCompares = "--on: submit takes one target; pe run --on compares several"
	titleUnoffered  = "No executor can run the job"
	nothingCompared = "nothing to compare: the program ran nowhere to an end"
	maxNamedOutputs = 5
)

func labelIsNoTarget(label, next string) string {
	if strings.Contains(next, "=") {
		next = "any/" + next
	}
	return fmt.Sprintf("--on: a label alone holds for all targets and takes no list; to compare write --on any/%s,%s", label, next)
}

func andMore(n int) string { return fmt.Sprintf("and %d more", n) }

// unofferedText says what there is instead.
func unofferedText(e *producer.UnofferedError) string {
	lines := []string{"nobody offers " + joinPrintable(e.Targets)}
	if len(e.Executors) == 0 {
		return lines[0] + ": no executor has registered yet"
	}
	if len(e.Offered) > 0 {
		lines = append(lines, "  on offer: "+joinPrintable(e.Offered))
	}
	lines = append(lines, "  executors: "+joinPrintable(e.Executors), "  pe executors lists what each has")
	return strings.Join(lines, "\n")
}

func joinPrintable(words []string) string {
	quoted := make([]string, 0, len(words))
	for _, w := range words {
		quoted = append(quoted, printable(w))
	}
	return strings.Join(quoted, ", ")
}

// targetErrors are the errors of several targets that were joined, or of one.
func targetErrors(err error) []*producer.TargetError {
	switch e := err.(type) {
	case *producer.TargetError:
		return []*producer.TargetError{e}
	case interface{ Unwrap() []error }:
		var all []*producer.TargetError
		for _, one := range e.Unwrap() {
			all = append(all, targetErrors(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		return targetErrors(e.Unwrap())
	}
	return nil
}

func noteFetchedAll(u producer.Unpacked, dir string, folders int) string {
	return fmt.Sprintf("%s (%s) in %s, in %s", plural(u.Files, "file"), formatBytes(u.Bytes), printable(dir), plural(folders, "folder"))
}

// phaseOf and changeOnly say how a change of state looks in the progress lines.
func phaseOf(c schemas.StreamChange) phase {
	if c.State.Terminal() {
		return phaseEnded
	}
	in, _ := changeWords(c)
	return in
}

func changeOnly(c schemas.StreamChange) string {
	_, words := changeWords(c)
	return words
}

// plainWords are a change as a message, where no line can be rewritten.
func plainWords(c schemas.StreamChange) string {
	switch {
	case c.State.Terminal():
		return string(c.State)
	case c.Cancelling:
		return ""
	case c.State == schemas.StateQueued && c.Waiting != "":
		return "waits: " + printable(c.Waiting)
	case c.State == schemas.StateRunning:
		return "runs on " + printable(c.Executor)
	}
	return ""
}

// differenceWords say what is not the same everywhere, a line for each.
func differenceWords(v producer.Versions) string {
	if len(v.Compared) == 0 {
		return nothingCompared
	}
	if !v.Differ() {
		return sameWords(v)
	}
	var words []string
	if len(v.Ends) > 1 {
		words = append(words, "exit codes differ: "+groupWords(v.Ends))
	}
	for _, s := range []struct {
		name     string
		versions []producer.Version
	}{{"stdout", v.Stdout}, {"stderr", v.Stderr}} {
		if len(s.versions) > 1 {
			words = append(words, fmt.Sprintf("%s differs: %d versions", s.name, len(s.versions)))
		}
	}
	for i, o := range v.Outputs {
		if i == maxNamedOutputs {
			words = append(words, fmt.Sprintf("and %d more outputs differ", len(v.Outputs)-i))
			break
		}
		words = append(words, outputWords(o))
	}
	return strings.Join(words, "\n")
}

func sameWords(v producer.Versions) string {
	end := v.Ends[0].Value
	if strings.Trim(end, "0123456789") == "" {
		end = "exit code " + end
	}
	return fmt.Sprintf("same on all %d: %s, stdout, stderr, %s", len(v.Compared), end, plural(v.SameOutputs, "output"))
}

func groupWords(versions []producer.Version) string {
	var groups []string
	for _, v := range versions {
		groups = append(groups, v.Value+" on "+strings.Join(v.On, ", "))
	}
	return strings.Join(groups, "; ")
}

// outputWords say in how many versions a file is there, and where it is not.
func outputWords(o producer.OutputVersions) string {
	var there, missing []string
	versions := 0
	for _, v := range o.Versions {
		if v.Value == "" {
			missing = v.On
			continue
		}
		there = append(there, v.On...)
		versions++
	}
	name := printable(o.Path)
	switch {
	case versions > 1 && len(missing) > 0:
		return fmt.Sprintf("%s differs: %d versions, none on %s", name, versions, strings.Join(missing, ", "))
	case versions > 1:
		return fmt.Sprintf("%s differs: %d versions", name, versions)
	case len(missing) < len(there):
		return fmt.Sprintf("%s is not on %s", name, strings.Join(missing, ", "))
	}
	return fmt.Sprintf("%s is only on %s", name, strings.Join(there, ", "))
}

// startWords say how a job's machine came to be.
func startWords(job *schemas.Job) string {
	if job.Cached != nil {
		return "cached"
	}
	return cmp.Or(job.Result.RanOn.Start, "-")
}

func didYouMean(name, hint string) string {
	return strings.TrimSuffix("did you mean --image "+printable(name)+"? "+hint, " ")
}

func noSuchExecutor(id string, list []schemas.Executor) string {
	ids := make([]string, 0, len(list))
	for _, e := range list {
		ids = append(ids, e.Executor)
	}
	if len(ids) == 0 {
		return fmt.Sprintf("there is no executor %s: none has registered yet", printable(id))
	}
	return fmt.Sprintf("there is no executor %s; there are %s", printable(id), joinPrintable(ids))
}
