package job

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/guestrd/sandbox"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// pipeSize makes a program's writes rarely wait.
const pipeSize = 1 << 20

// inputQueue is how much of the input tar may wait for the child, in bytes.
const inputQueue = 1 << 20

// pipes are guestrd's ends of what the program reads and writes.
type pipes struct {
	run            *Run
	stdout, stderr stream
	output         *os.File
	feeders        sync.WaitGroup // of the program's stdin and the child's inputs
	streams        sync.WaitGroup
	over           chan struct{} // closed when nobody writes any more
	end            sync.Once
}

// theirs is a descriptor for the child.
type theirs struct {
	role string
	fd   int
}

// open makes all that the job's specification asks for, and returns the child's ends.
func (p *pipes) open() (ends []theirs, err error) {
	r := p.run
	add := func(role string, fd int, e error) {
		if e != nil {
			err = errors.Join(err, fmt.Errorf("open %s: %w", role, e))
			return
		}
		ends = append(ends, theirs{role, fd})
	}
	for role, to := range map[string]*stream{sandbox.FDStdout: &p.stdout, sandbox.FDStderr: &p.stderr} {
		ours, fd, e := pipe(true)
		add(role, fd, e)
		to.from = ours
	}
	if r.spec.Stdin.Via == guestproto.ViaChannel {
		ours, fd, e := pipe(false)
		add(sandbox.FDStdin, fd, e)
		p.feed(r.stdin, ours)
	}
	switch r.spec.Input.Via {
	case guestproto.ViaChannel:
		ours, fd, e := pipe(false)
		add(sandbox.FDInput, fd, e)
		p.feed(r.input, ours)
	case guestproto.ViaDisk:
		fd, e := p.disk(r.spec.Input.Serial, false)
		add(sandbox.FDInput, fd, e)
	}
	return ends, err
}

// openOutput makes what the outputs go to, and returns the child's end.
func (p *pipes) openOutput() (int, error) {
	out := p.run.spec.Output
	if out.Via == guestproto.ViaDisk {
		return p.disk(out.Serial, true)
	}
	ours, fd, err := pipe(true)
	p.output = ours
	return fd, err
}

func (p *pipes) disk(serial string, write bool) (int, error) {
	if p.run.runner.config.OpenDisk == nil {
		return -1, errors.New("there are no disks")
	}
	f, err := p.run.runner.config.OpenDisk(serial, write)
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
}

// feed lets box feed pipe, if there is one.
func (p *pipes) feed(box *inbox, pipe *os.File) {
	if pipe == nil {
		return
	}
	p.feeders.Add(1)
	go func() {
		defer p.feeders.Done()
		box.feed(pipe)
	}()
}

// pump begins to send stdout and stderr.
func (p *pipes) pump() {
	for kind, s := range map[guestproto.Type]*stream{guestproto.TypeStdout: &p.stdout, guestproto.TypeStderr: &p.stderr} {
		p.streams.Add(1)
		go func() {
			defer p.streams.Done()
			s.pump(p.run.spec.Limits.Log, p.over, func(b []byte) error { return p.run.w.Data(kind, p.run.n, b) })
		}()
	}
}

// drain returns when everything has been sent. The program, and all that held its pipes, is dead.
func (p *pipes) drain() {
	p.end.Do(func() { close(p.over) })
	p.run.input.close()
	p.run.stdin.close()
	p.feeders.Wait()
	p.streams.Wait()
}

func (p *pipes) close() {
	for _, f := range []*os.File{p.output, p.stdout.from, p.stderr.from} {
		if f != nil {
			f.Close()
		}
	}
}

// forwardOutput sends the output tar as the child writes it, if it goes over the channel.
func (p *pipes) forwardOutput() error {
	if p.output == nil {
		return nil
	}
	buf := make([]byte, guestproto.MaxData)
	for {
		n, err := p.output.Read(buf)
		if n > 0 {
			if err := p.run.w.Data(guestproto.TypeOutput, p.run.n, buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read outputs: %w", err)
		}
	}
}

// stream is stdout or stderr.
type stream struct {
	from      *os.File
	truncated atomic.Bool
}

// A program that writes byte by byte must not become a flood of frames: after a small one,
// the stream gathers for a moment.
const (
	smallFrame = 4096
	gathering  = 2 * time.Millisecond
)

// pump sends what comes, up to limit bytes, and drops the rest as fast as it comes, so that
// the program neither waits nor sees an error. Once over is closed it gathers no more.
func (s *stream) pump(limit int64, over <-chan struct{}, send func([]byte) error) {
	buf := make([]byte, guestproto.MaxData)
	for limit > 0 {
		n, err := s.from.Read(buf)
		if n > 0 {
			if int64(n) > limit {
				s.truncated.Store(true)
			}
			kept := int(min(int64(n), limit))
			limit -= int64(kept)
			if send(buf[:kept]) != nil {
				break
			}
		}
		if err != nil {
			return
		}
		if n < smallFrame {
			select {
			case <-time.After(gathering):
			case <-over:
			}
		}
	}
	if drop(s.from) > 0 {
		s.truncated.Store(true)
	}
}

// drop discards the rest without copying it, and returns how much it was.
func drop(from *os.File) (dropped int64) {
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		dropped, _ = io.Copy(io.Discard, from)
		return dropped
	}
	defer null.Close()
	for {
		n, err := unix.Splice(int(from.Fd()), nil, int(null.Fd()), nil, pipeSize, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return dropped
		}
		dropped += n
	}
}

// pipe returns our end, the reading one if we read, and the child's descriptor.
func pipe(weRead bool) (*os.File, int, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, err
	}
	// The size is a wish: a machine may allow less.
	unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	if weRead {
		return os.NewFile(uintptr(fds[0]), "pipe"), fds[1], nil
	}
	return os.NewFile(uintptr(fds[1]), "pipe"), fds[0], nil
}

func closeFD(fd int) { unix.Close(fd) }
