package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

const (
	rootShort = "Run any container image on your files, on the machine you name"
	rootLong  = `pe runs a program from any container image on your files, in a machine of its
own, and fetches what it leaves in /output.

The gateway is named by --server or PE_SERVER; PE_TOKEN holds the access token
where one is needed. ` + "`ped up`" + ` starts a gateway on this machine.

Exit codes of run and wait:
  0-123      the program's own (126: it could not be executed, 127: it is not in the image)
  124        a limit ended it: wall, cpu, memory, pids, scratch or output
  125        there is no exit code: wrong usage, no gateway, or the platform failed
  128+n      signal n ended it (139: SIGSEGV)
  130        the job was cancelled; or wait was interrupted, and the job goes on
  141        nobody reads our stdout any more
A program may use any of these itself; --json tells for certain.

Exit codes of all other commands:
  0  done
  1  something on this machine failed, such as writing a file
  2  wrong usage
  3  the gateway cannot be reached, or refused
  130, 141  interrupted; nobody reads our stdout any more`
	rootExample = `  pe run --image gcc -f main.c -- sh -c 'gcc -O2 main.c -o /output/a.out && /output/a.out'
  echo 'print(6*7)' | pe run --image python -- python3 -
  id=$(pe submit --image busybox --arch riscv64 -- uname -m); pe wait $id; pe logs $id`

	runShort = "Run a job: send inputs, show its output, fetch its files, exit with its exit code"
	runLong  = `Run a job and stay with it. Inputs are placed in the job's working directory
(/work), its stdout and stderr come as it writes them, and files that it leaves
in /output are fetched into a folder, which is made only if there are any.
Files that are there already are replaced; --no-clobber refuses instead.

Our stdin is sent if it is a pipe or a file. In a shell loop that reads, use
--stdin none, as with ssh.

With --on and more than one target, or all, the job runs on each, all at the same
time, and the results are shown side by side; files go to a folder for each.
A target is ARCH[-ISOLATION[-ACCEL]][@KERNEL][/KEY=VALUE]...[/executor:ID], where
ARCH may be any; executor:ID alone is short for any/executor:ID. pe executors lists
what there is. The exit code is that of the first target that did not succeed.

Ctrl-C cancels the job; the second leaves at once, and the job ends by itself.
Exit codes: see pe --help.`
	runExample = `  pe run --image gcc -f main.c -- sh -c 'gcc main.c -o /output/a.out'
  pe run --image python -f data=measurements/ -f plot.py --collect '*.png' -- python3 plot.py
  pe run --image busybox --arch riscv64 --wall 10s --memory 256M -- uname -a
  pe run --spec job.json --label nightly=1
  pe run --image gcc -f main.c --on amd64-vm,arm64-vm,riscv64-vm -- sh -c 'gcc main.c -o /output/a.out'`

	submitShort = "Submit a job and print its id"
	submitUse   = `submit --image IMAGE [flags] [--] [ARG...]
  pe submit --batch FILE [--each]`
	submitLong = `Submit a job, print its id, and leave. It takes the flags of run; of targets, --on
takes one.

With --batch FILE, submit all jobs of a file in one request, at most 1,000, and
print their ids, one per line, in their order. The file has their specifications
in JSON: one per line, or in an array. All are taken or none; with --each, those
that can be taken are, and the others are named on stderr, with exit code 3. A line
that is no specification is one of these others.`
	submitExample = `  id=$(pe submit --image busybox -- sleep 10)
  pe submit --campaign nightly --image python -f sim.py -- python3 sim.py 1
  pe submit --batch jobs.jsonl > ids
  seq 100 | jq -c '{image: "busybox", args: ["factor", "\(.)"]}' | pe submit --batch -`
	statusShort   = "Show a job"
	statusExample = `  pe status j0123…
  pe status j0123… --json | jq .result.spans`
	waitShort   = "Wait until a job has ended, and exit as run would"
	waitLong    = `Wait until a job has ended. The exit code is the program's, as with run: see pe --help.`
	waitExample = `  pe wait j0123… && pe outputs j0123… -o results
  pe submit --batch jobs.jsonl | while read -r id; do pe wait "$id" || echo "$id: $?"; done`
	logsShort = "Show what a job writes to stdout and stderr"
	logsLong  = `Show what a job has written so far: its stdout on ours, its stderr on ours.
With --follow, stay until it has ended.`
	logsExample = `  pe logs -f j0123…
  pe logs j0123… 2>/dev/null | head`
	outputsShort = "List or fetch the files that a job left in /output"
	outputsLong  = `List the files that a job left in /output; with --output, fetch all of them into
a folder; with a PATH, write that file to stdout; with --tar, write all of them
to stdout as a tar.`
	outputsExample = `  pe outputs j0123…            # list
  pe outputs j0123… -o results
  pe outputs j0123… plot.png > plot.png
  pe outputs j0123… --tar | tar t`
	cancelShort   = "Cancel jobs"
	cancelExample = `  pe cancel j0123… j0456…
  pe jobs -n 0 --state queued --state running -l campaign=nightly --json | jq -r '.jobs[].id' | xargs -r pe cancel`
	jobsShort   = "List jobs, the newest first"
	jobsExample = `  pe jobs --state running
  pe jobs -n 0 --state failed -l campaign=nightly --json | jq -r '.jobs[].id'`
	eventsShort = "Show what becomes of all jobs, as it happens"
	eventsLong  = `Show a line for each change of any of your jobs, or of those with a label,
as it happens, until you leave. With --since 0, first the jobs that there are;
with the id of an event, as --json shows it, what came after that. Nothing is
shown twice, whatever connection or gateway breaks meanwhile, and the end of
each job is never left out.

With --output, also what they write, of up to 16 jobs at once; pe logs has all of
one job.`
	eventsExample = `  pe events -l campaign=nightly
  pe events --json --since "$(cat last-id)" | while read -r event; do …`
	imagesShort   = "List the names that --image knows beside references"
	imagesExample = `  pe images
  pe images --json | jq -r '.images[] | select(.archs // [] | index("riscv64")) | .name'`
	executorsShort = "List the machines, and what they can run"
	executorsLong  = `List the executors: which are connected, and when the others were last seen; how
many of their slots are busy, and what they offer, as --on takes it. With --wide,
also processors, hosts, and what runs; with an ID, everything of one.`
	executorsExample = `  pe executors
  pe executors -w
  pe executors cellar
  pe executors --json | jq -r '.executors[] | select(.state == "up") | .executor'`
	versionShort = "Print the version"

	helpServer       = "`ADDRESS` of the gateway"
	helpJSON         = "print JSON: a document on stdout, errors on stderr"
	helpQuiet        = "no progress, no notes: errors alone"
	helpOutput       = "`DIR` for the files that the job leaves in /output"
	helpNoOutput     = "fetch no files"
	helpNoClobber    = "refuse to replace files that are there"
	helpFollow       = "stay until the job has ended"
	helpTar          = "write a tar of all outputs to stdout"
	helpState        = "only jobs in this `STATE` (repeatable)"
	helpHasLabel     = "only jobs with this label, `KEY=VALUE` (repeatable)"
	helpSince        = "begin after the event with this `ID`; 0 for all jobs that there are (default now)"
	helpEventsOutput = "also what running jobs write to stdout and stderr"
	helpWide         = "more columns: processor, features, host, version, owner, jobs"
	helpLimit        = "`N` of them; 0 for all"

	wantSize     = "want a size such as 512M, 1.5G or 1048576"
	wantDuration = "want a duration such as 90s, 5m or 1h30m"

	noStdin          = "there is no stdin"
	titleClient      = "The command failed"
	titleUnreachable = "The gateway cannot be reached"
	titleInterrupted = "Interrupted"
	titleUsage       = "The command line is wrong"
	titleInvalid     = "The job specification is not valid"

	noteCancelling   = "cancelling; Ctrl-C again to leave at once"
	noteLeaving      = "left; the job is being cancelled"
	noteWaitingStdin = "waiting for stdin to end; --stdin none sends nothing"
	noteTerminal     = "the output is not text: redirect it into a file"
)

// What flags say. The words between back quotes name the value.
const (
	flagImage        = "`IMAGE`: a name from 'pe images', or a reference such as docker.io/library/gcc:14"
	flagFile         = "`INPUT`: FILE, DIR, NAME=FILE or NAME=DIR (repeatable); names are relative to --cwd"
	flagStdin        = "what the program reads: `FILE`, - for our stdin, or none (default: our stdin, unless it is a terminal)"
	flagEnv          = "variable: `NAME=VALUE`, or NAME to take ours (repeatable)"
	flagUser         = "`USER`: uid, uid:gid, or a name that the image knows"
	flagEntrypoint   = "`PROGRAM` instead of the image's entrypoint; empty for none"
	flagCollect      = "collect only what matches `GLOB` in /output; ** crosses folders (repeatable; default all)"
	flagSpec         = "`FILE` with a job specification in JSON, - for stdin; flags and arguments override it"
	flagLabel        = "your own label: `KEY=VALUE` (repeatable)"
	flagLane         = "`LANE`: interactive or batch (default interactive)"
	flagKey          = "the same `KEY` again returns the first job"
	flagCallback     = "`URL` that is told when the job has ended"
	flagBatch        = "submit every job of this `FILE`: specifications in JSON, one per line or in an array; - for stdin"
	flagEach         = "with --batch: take what can be taken, and say of the others why not"
	flagKernel       = "beginning of the kernel's `RELEASE`, such as 6.1"
	flagFeature      = "CPU `FEATURE` as the kernel names it, such as avx2 (repeatable)"
	flagExecutor     = "`ID` of the one machine that may run it, from 'pe executors'"
	flagOn           = "`TARGET`s, such as arm64-vm,amd64-gvisor or all: run on each and compare; or a label KEY=VALUE that all must have (repeatable)"
	flagCPUModel     = "`WORDS` of the processor's name, such as 'epyc 7763'"
	flagQueueTimeout = "`TIME` that it may wait for a machine, such as 10m (default 24h)"
	flagDeadline     = "`TIME` from now within which it must have ended, such as 1h (default none)"
	flagWall         = "`TIME` limit, such as 90s or 5m; also --timeout (default 1m)"
	flagCPUTime      = "limit of processor `TIME` of all processes (default wall times cpus)"
	flagCPUs         = "`N` processors' worth of time, such as 0.5 (default 1)"
	flagMemory       = "memory limit of this `SIZE`, such as 2G (default 512M)"
	flagPids         = "at most `N` processes and threads (default 256)"
	flagScratch      = "`SIZE` of the space for inputs and files that the job writes (default 256M)"
	flagOutputs      = "at most `SIZE` of all outputs together (default 256M)"
	flagCwd          = "working `DIR` (default /work)"
	flagArch         = "`ARCH`: amd64, arm64 or riscv64 (default: one that the image has)"
	flagIsolation    = "`KIND`: strong, vm, gvisor or container (default strong)"
	flagAccel        = "`ACCELERATOR`: kvm, hvf or tcg (default any)"
)

// The result cache.
const (
	cacheShort = "Show or clear the cache of results"
	cacheLong  = `Show what the gateway keeps of your results to give them again, to jobs with
--cache use; or clear it. Jobs keep the results that they have.`
	cacheExample = `  pe cache show
  pe cache clear
  pe run --cache refresh --image gcc -f main.c -- gcc -c main.c   # of one job alone`
	cacheShowExample  = `  pe cache show`
	cacheClearExample = `  pe cache clear`
	cacheShowShort    = "Show how many results are kept, and how often they were of use"
	cacheClearShort   = "Clear the cache: jobs that are submitted from now on are run"

	flagCache         = "`MODE`: use an earlier result of the same job, refresh it, or bypass the cache (default what the catalog says, mostly bypass)"
	flagCacheFailures = "also take and keep results with an exit code that is not 0"
)

func unknownCommand(name string) string {
	return fmt.Sprintf("unknown command %s; see pe --help", printable(name))
}

func flagText(command string, err error) string {
	return fmt.Sprintf("%v; see %s --help", err, command)
}

func wrongArguments(command, wanted string) string {
	if wanted == "" {
		return fmt.Sprintf("%s takes no arguments", command)
	}
	return fmt.Sprintf("want %s %s; see %s --help", command, wanted, command)
}

// errorText is an error as lines for a person; the first follows "pe: ".
func errorText(err error) string {
	if targets := targetErrors(err); len(targets) > 0 {
		var texts []string
		for _, t := range targets {
			texts = append(texts, printable(t.Target)+": "+errorText(t.Err))
		}
		return strings.Join(texts, "\n")
	}
	var nobody *producer.UnofferedError
	if errors.As(err, &nobody) {
		return unofferedText(nobody)
	}
	var p *schemas.ProblemDocument
	if !errors.As(err, &p) {
		return err.Error()
	}
	lines := []string{lowerFirst(p.Title)}
	if p.Detail != "" && len(p.Problems) == 0 {
		lines[0] += ": " + p.Detail
	}
	lines = append(lines, problemLines(p.Problems)...)
	if p.Hint != "" {
		lines = append(lines, "  "+hintWords(p.Hint))
	}
	return strings.Join(lines, "\n")
}

func problemLines(problems []schemas.Problem) []string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("  %s: %s", placeWords(p.Pointer), p.Message))
	}
	return lines
}

// placeWords is a JSON pointer as people write it: limits.wall_ms, files["main.c"].
func placeWords(pointer string) string {
	if pointer == "" {
		return "the specification"
	}
	words := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch {
		case strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || part == "":
			words += "[" + strconv.Quote(part) + "]"
		case words == "":
			words = part
		default:
			words += "." + part
		}
	}
	return words
}

// lowerFirst fits a title into the middle of a line; names in capitals stay.
func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' || strings.HasPrefix(s, "A ") {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

const eachAlone = "--each is for --batch"

func notInBatch(what string) string {
	return what + ": a batch's jobs are described in its file alone"
}

// noteRefused says which job of a batch was not taken, and why. Its place among the
// jobs counts from 0, as pointers do; people count from 1.
func noteRefused(i, line int, p *schemas.ProblemDocument) string {
	words := fmt.Sprintf("job %d (jobs.%d, line %d) of the batch was not taken", i+1, i, line)
	switch {
	case p == nil:
		return words
	case p.Detail != "" || len(p.Problems) == 0:
		return words + ": " + printable(p.Error())
	}
	return strings.Join(append([]string{words + ":"}, problemLines(p.Problems)...), "\n")
}

func specProblems(problems []schemas.Problem) error {
	return usage(errors.New(strings.Join(append([]string{"the job is not valid:"}, problemLines(problems)...), "\n")))
}

// stageWords say what goes on, as the progress line has it.
func stageWords(s schemas.Stage) (phase, string) {
	known := map[string]struct {
		phase
		words string
	}{
		schemas.SpanClaimed: {phaseStarting, "starting"}, schemas.SpanStaged: {phaseStarting, "staging"},
		schemas.SpanBooted: {phaseStarting, "booting"}, schemas.SpanRestored: {phaseStarting, "starting"},
		schemas.SpanPrepared: {phaseStarting, "preparing"}, schemas.SpanRunning: {phaseRunning, "running"},
		schemas.SpanCollected: {phaseFinishing, "collecting outputs"}, schemas.SpanUploaded: {phaseFinishing, "storing outputs"},
		schemas.SpanReported: {phaseFinishing, "storing outputs"},
	}[s.Name]
	if known.words == "" {
		known.phase, known.words = phaseStarting, "working"
	}
	if s.Detail != "" {
		known.words += ": " + printable(s.Detail)
	}
	return known.phase, known.words
}

func changeWords(c schemas.StreamChange) (phase, string) {
	switch {
	case c.Cancelling:
		return phaseFinishing, "cancelling"
	case c.State == schemas.StateQueued && c.Waiting != "":
		return phaseQueued, "queued: " + printable(c.Waiting)
	case c.State == schemas.StateQueued:
		return phaseQueued, "queued"
	case c.State == schemas.StateRunning && c.Attempt > 1:
		return phaseStarting, fmt.Sprintf("starting again (attempt %d)", c.Attempt)
	case c.State == schemas.StateRunning:
		return phaseStarting, "starting"
	}
	return phaseFinishing, string(c.State)
}

func sendingWords(sent, total int64) string {
	return fmt.Sprintf("sending inputs, %s of %s", formatBytes(sent), formatBytes(total))
}

func noteLost(n int64, stream string) string {
	return fmt.Sprintf("%d bytes of %s are missing here", n, stream)
}

// noteOutputLost says that what was shown of a job's output is not all of it.
func noteOutputLost(id string) string {
	return fmt.Sprintf("the end of the output is missing: the gateway's object store has lost it; pe status %s", id)
}

// wordsLost says what is left out of a job's document.
func wordsLost(job schemas.Job) string {
	return fmt.Sprintf("the gateway's object store has lost the %s of job %s; run it again", strings.Join(job.Lost, " and the "), job.ID)
}

func noteAgain(attempt int) string {
	return fmt.Sprintf("the job is run again (attempt %d): what follows starts from the beginning", attempt)
}

func noteFetched(u producer.Unpacked, dir string) string {
	return fmt.Sprintf("%s (%s) in %s", plural(u.Files, "file"), formatBytes(u.Bytes), printable(dir))
}

func noteSkipped(n int, first schemas.Skipped) string {
	return fmt.Sprintf("%s in /output not collected; the first is %s: %s", plural(n, "entry"), printable(first.Path), printable(first.Reason))
}

func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(one, "y"))
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// whereMore names the job and how to see more of it, unless the words do so.
func whereMore(words, id string) string {
	if strings.Contains(words, id) {
		return ""
	}
	return fmt.Sprintf("; job %s: pe status %s", id, id)
}

// noteCached names the job whose result another one has.
func noteCached(s schemas.Source) string { return "cached: result of job " + s.Job }

// noteJob names a job whose end needs no other word.
func noteJob(id string) string { return "job " + id }

// cancelWords say what came of cancelling a job: nothing, if it had ended.
func cancelWords(job schemas.Job) string {
	if job.State.Terminal() && job.State != schemas.StateCancelled {
		return "had ended before: " + stateWords(job)
	}
	return stateWords(job)
}

// endWords say why a job ended, or nothing if its exit code says all.
func endWords(job schemas.Job) string {
	switch job.State {
	case schemas.StateCancelled:
		return fmt.Sprintf("job %s was cancelled", job.ID)
	case schemas.StateExpired:
		if job.Failure != nil && job.Failure.Code == schemas.FailDeadline {
			return fmt.Sprintf("job %s did not end in time (--deadline): %s", job.ID, printable(job.Failure.Message))
		}
		return fmt.Sprintf("job %s waited longer than it may%s", job.ID, waitedFor(job))
	case schemas.StateDead:
		if job.Failure == nil {
			return fmt.Sprintf("job %s could not be run", job.ID)
		}
		return fmt.Sprintf("job %s could not be run: %s (%s)", job.ID, printable(job.Failure.Message), job.Failure.Code)
	}
	if job.Outcome == nil {
		return ""
	}
	return outcomeWords(*job.Outcome, job.Spec)
}

// waitedFor says how long a job was to wait, and why in vain if that is known.
func waitedFor(job schemas.Job) string {
	words := ""
	if job.Spec != nil {
		wait := time.Duration(job.Spec.WithDefaults().QueueTimeoutMS) * time.Millisecond
		words = fmt.Sprintf(": %s (--queue-timeout)", formatSpan(wait))
	}
	if job.Failure != nil {
		words += ": " + printable(job.Failure.Message)
	}
	return words
}

func outcomeWords(o schemas.Outcome, spec *schemas.JobSpec) string {
	var words string
	switch {
	case o.Limit != "":
		words = "ended by its " + o.Limit + " limit" + limitValue(o.Limit, spec)
	case o.Signal != "":
		words = "ended by " + o.Signal
	case o.Message == "":
		return ""
	case o.ExitCode != nil && *o.ExitCode != 0:
		words = fmt.Sprintf("exit code %d", *o.ExitCode)
	}
	if o.Message != "" {
		words = strings.TrimPrefix(words+": "+printable(o.Message), ": ")
	}
	return words
}

// limitValue says how high the limit was, and which flag raises it.
func limitValue(name string, spec *schemas.JobSpec) string {
	if spec == nil {
		return ""
	}
	l := spec.WithDefaults().Limits
	switch name {
	case schemas.LimitWall:
		return fmt.Sprintf(" of %s (--wall)", formatSpan(time.Duration(l.WallMS)*time.Millisecond))
	case schemas.LimitCPU:
		return fmt.Sprintf(" of %s (--cpu-time)", formatSpan(time.Duration(l.CPUMS)*time.Millisecond))
	case schemas.LimitMemory:
		return fmt.Sprintf(" of %s (--memory)", formatBytes(l.MemoryBytes))
	case schemas.LimitPids:
		return fmt.Sprintf(" of %d (--pids)", l.Pids)
	case schemas.LimitScratch:
		return fmt.Sprintf(" of %s (--scratch)", formatBytes(l.ScratchBytes))
	case schemas.LimitOutput:
		return fmt.Sprintf(" of %s (--output-limit)", formatBytes(l.OutputBytes))
	}
	return ""
}
