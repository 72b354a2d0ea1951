package vm_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

const (
	// alive is how many clones run at once.
	alive = 8
	// clockLimit is how far a clone's clock may be from the host's.
	clockLimit = 50 * time.Millisecond
	// exchanges of a byte for the time: the quickest bounds the clock's error best.
	exchanges = 10
)

// long admits what takes minutes: under emulation a Python start costs two seconds of a processor.
var long = os.Getenv("PE_LONG") == "1"

// atLeast is n, and all of it where tests may take minutes.
func atLeast(n, all int) int {
	if long {
		return all
	}
	return n
}

// TestClonesShareNothing starts 16 machines from one snapshot, or 64 with PE_LONG=1, 8 at a time. In each a
// freshly started C program and a Python one read at once all that must be this machine's own.
func TestClonesShareNothing(t *testing.T) {
	host, registry := newHost(t, t.TempDir(), nil)
	r := newRunner(t, host)
	shape := firstWordsShape(t)
	snap, _, err := r.Snapshot(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release() // else the template is loaded anew for each eight
	begun := time.Now()
	all := make([]clone, atLeast(16, 64))
	for i := 0; i < len(all); i += alive {
		everyone := &barrier{left: alive, open: make(chan struct{})}
		var batch sync.WaitGroup
		for n := i; n < i+alive; n++ {
			batch.Go(func() { all[n] = runClone(t, r, withName(shape, fmt.Sprint("clone-", n)), everyone) })
		}
		batch.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	t.Logf("%d clones in %v, load %s", len(all), time.Since(begun).Round(time.Millisecond), load)
	nothingShared(t, all)
	clocksRight(t, all)
	if n := counted(t, registry, "pe_executor_vm_fallbacks_total"); n != 0 {
		t.Errorf("%v machines booted instead", n)
	}
}

// firstWordsShape is a machine in which both programs lie, and have run before the bake.
func firstWordsShape(t *testing.T) executor.Shape {
	t.Helper()
	python, err := os.ReadFile("testdata/first.py")
	if err != nil {
		t.Fatal(err)
	}
	img := image(t, "python")
	img.Warmup = []imagesync.Warmup{{
		Argv:    []string{"sh", "-c", "/opt/first </dev/null; python3 /opt/first.py"},
		Files:   warmupFiles(t, map[string][]byte{"/opt/first": compiled(t, "first.c"), "/opt/first.py": python}),
		Timeout: time.Minute,
	}}
	return withName(executor.NewShape(img, schemas.JobSpec{}.WithDefaults().Limits), "first")
}

// clone is what the programs of one machine said.
type clone struct {
	c, python map[string]string
	// The programs were told to begin, and each one's line was heard, at these times.
	sent, heardC, heardPython time.Time
	// offset of the clock against the host's, and by how much that may be wrong.
	offset, doubt time.Duration
}

// barrier opens when all have come, so that all are alive at the same time.
type barrier struct {
	mu   sync.Mutex
	left int
	open chan struct{}
}

func (b *barrier) wait() {
	b.mu.Lock()
	if b.left--; b.left == 0 {
		close(b.open)
	}
	b.mu.Unlock()
	<-b.open
}

// line is one of the job's stdout, and when it was heard.
type line struct {
	text string
	at   time.Time
}

func runClone(t *testing.T, r *vm.Runner, shape executor.Shape, everyone *barrier) (got clone) {
	m, err := r.Start(t.Context(), shape)
	if err != nil {
		t.Error(err)
		everyone.wait()
		return got
	}
	defer m.Close()
	job := shellJob("read go; python3 /opt/first.py & /opt/first; wait")
	job.Limits.WallMS, job.Stdin.Via = 120_000, guestproto.ViaChannel
	stdin, bytes := io.Pipe()
	stdout, said := io.Pipe()
	lines := make(chan line, exchanges+2)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- line{s.Text(), time.Now()}
		}
	}()
	running, talked := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(running) })
	go func() {
		defer close(talked)
		defer bytes.Close()
		<-running
		everyone.wait() // so that all are alive, and begin at the same time
		got.sent = time.Now()
		_, _ = io.WriteString(bytes, "go\n")
		got.hear(lines)
		got.measure(bytes, lines)
	}()
	ended, err := m.Run(t.Context(), executor.Work{
		Job: job, Stdin: stdin,
		Stage: func(name string) {
			if name == schemas.SpanRunning {
				begun()
			}
		},
		Stdout: func(p []byte) { _, _ = said.Write(p) },
		Stderr: func(p []byte) { t.Logf("%s: %s", shape.Name, p) },
	})
	begun() // where it never did
	said.Close()
	stdin.Close()
	<-talked
	if err != nil || ended.Exit.Code != 0 || ended.Start != schemas.StartRestored {
		t.Errorf("%s: %s, %+v, %v", shape.Name, ended.Start, ended.Exit, err)
	}
	return got
}

// hear waits for each program's line.
func (c *clone) hear(lines <-chan line) {
	for range 2 {
		l := <-lines
		who, rest, _ := strings.Cut(l.text, " ")
		words := map[string]string{}
		for pair := range strings.FieldsSeq(rest) {
			name, value, _ := strings.Cut(pair, "=")
			words[name] = value
		}
		switch who {
		case "c":
			c.c, c.heardC = words, l.at
		case "python":
			c.python, c.heardPython = words, l.at
		}
	}
}

// measure compares the machine's clock with the host's.
func (c *clone) measure(to io.Writer, lines <-chan line) {
	c.doubt = time.Hour
	for range exchanges {
		asked := time.Now()
		if _, err := to.Write([]byte("?")); err != nil {
			return
		}
		l := <-lines
		if doubt := l.at.Sub(asked) / 2; doubt < c.doubt {
			c.offset, c.doubt = timeOf(strings.TrimPrefix(l.text, "t ")).Sub(asked.Add(doubt)), doubt
		}
	}
}

// timeOf reads nanoseconds of the Unix era; what isn't a number is long ago.
func timeOf(ns string) time.Time {
	n, _ := strconv.ParseInt(ns, 10, 64)
	return time.Unix(0, n)
}
