package serve_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/program-explorer/pe/guestrd/serve"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// still is a machine on which nothing ever happens by itself.
type still struct{ broken error }

func (m still) Identify(*guestproto.Identity) error { return m.broken }
func (m still) Mount(*guestproto.Rootfs) error      { return nil }
func (m still) Freeze() (int64, error)              { return 1, nil }
func (m still) Prepare(uint16, *guestproto.Job, *guestproto.Writer) serve.Run {
	return stillRun{make(chan error)}
}

type stillRun struct{ done chan error }

func (stillRun) Input([]byte)         {}
func (stillRun) InputEnd()            {}
func (stillRun) Start()               {}
func (stillRun) Stdin([]byte) error   { return errors.New("too much") }
func (stillRun) StdinEnd()            {}
func (stillRun) Kill(guestproto.Kill) {}
func (r stillRun) Done() <-chan error { return r.done }

func ready() *guestproto.Ready {
	return &guestproto.Ready{Protocol: 1, Arch: "amd64"}
}

func identity() guestproto.Message {
	return &guestproto.Identity{Entropy: make([]byte, 64), ClockNS: 1, Hostname: "a", MachineID: strings.Repeat("0", 32)}
}

func job(change func(*guestproto.Job)) guestproto.Message {
	j := &guestproto.Job{
		Argv: []string{"x"}, Cwd: "/", Limits: guestproto.Limits{WallMS: 1, Scratch: 1},
		Input: guestproto.Input{Via: guestproto.ViaChannel}, Output: guestproto.Output{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
	}
	if change != nil {
		change(j)
	}
	return j
}

// converse sends what the host says and returns the guest's last message.
func converse(t *testing.T, m serve.Machine, say func(w *guestproto.Writer)) (guestproto.Message, error) {
	t.Helper()
	host, guest := net.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- serve.Serve(guest, m, ready())
		guest.Close()
	}()
	go say(guestproto.NewWriter(host))
	r := guestproto.NewReader(host, guestproto.Guest)
	var last guestproto.Message
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		if last, err = guestproto.Decode(f); err != nil {
			t.Fatal(err)
		}
	}
	return last, <-ended
}

func TestOrder(t *testing.T) {
	t.Parallel()
	mounted := func(w *guestproto.Writer) {
		w.Send(0, identity())
		w.Send(0, &guestproto.Rootfs{FS: guestproto.FSHost})
	}
	for name, say := range map[string]func(w *guestproto.Writer){
		"job before identity": func(w *guestproto.Writer) { w.Send(1, job(nil)) },
		"job before rootfs":   func(w *guestproto.Writer) { w.Send(0, identity()); w.Send(1, job(nil)) },
		"second rootfs":       func(w *guestproto.Writer) { mounted(w); w.Send(0, &guestproto.Rootfs{FS: guestproto.FSHost}) },
		"start without job":   func(w *guestproto.Writer) { mounted(w); w.Send(1, &guestproto.Start{}) },
		"start twice": func(w *guestproto.Writer) {
			mounted(w)
			w.Send(1, job(nil))
			w.Send(1, &guestproto.Start{})
			w.Send(1, &guestproto.Start{})
		},
		"input size": func(w *guestproto.Writer) {
			mounted(w)
			w.Send(1, job(nil))
			w.Data(guestproto.TypeInput, 1, []byte("abc"))
			w.Send(1, &guestproto.InputEnd{Size: 4})
		},
		"input not asked for": func(w *guestproto.Writer) {
			mounted(w)
			w.Send(1, job(func(j *guestproto.Job) { j.Input.Via = guestproto.ViaNone }))
			w.Data(guestproto.TypeInput, 1, []byte("abc"))
		},
		"stdin not asked for": func(w *guestproto.Writer) {
			mounted(w)
			w.Send(1, job(nil))
			w.Data(guestproto.TypeStdin, 1, []byte("abc"))
		},
		"stdin over the window": func(w *guestproto.Writer) {
			mounted(w)
			w.Send(1, job(func(j *guestproto.Job) { j.Stdin.Via = guestproto.ViaChannel }))
			w.Data(guestproto.TypeStdin, 1, []byte("abc"))
		},
		"guest's own frame": func(w *guestproto.Writer) { w.Send(0, &guestproto.Pong{}) },
	} {
		last, err := converse(t, still{}, say)
		fault, ok := last.(*guestproto.Fault)
		if !ok || fault.Code != guestproto.FaultProtocol || err == nil {
			t.Errorf("%s: last message %+v, error %v", name, last, err)
		}
	}
}

func TestPoweroff(t *testing.T) {
	t.Parallel()
	last, err := converse(t, still{}, func(w *guestproto.Writer) { w.Send(0, &guestproto.Poweroff{}) })
	if _, ok := last.(*guestproto.Ready); !ok || err != nil {
		t.Errorf("last message %+v, error %v", last, err)
	}
}

func TestFaultIsReported(t *testing.T) {
	t.Parallel()
	last, err := converse(t, still{broken: errors.New("no \xff entropy")}, func(w *guestproto.Writer) { w.Send(0, identity()) })
	fault, ok := last.(*guestproto.Fault)
	if !ok || fault.Code != guestproto.FaultIdentity || err == nil {
		t.Errorf("last message %+v, error %v", last, err)
	}
}

// FuzzHost lets a host say anything: the guest must end, and never panic.
func FuzzHost(f *testing.F) {
	var good bytes.Buffer
	w := guestproto.NewWriter(&good)
	w.Send(0, identity())
	w.Send(0, &guestproto.Rootfs{FS: guestproto.FSHost})
	w.Send(1, job(nil))
	w.Data(guestproto.TypeInput, 1, []byte("abc"))
	w.Send(1, &guestproto.InputEnd{Size: 3})
	w.Send(1, &guestproto.Start{})
	w.Send(1, &guestproto.Kill{Reason: "x"})
	f.Add(good.Bytes())
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, said []byte) {
		stream := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(said), io.Discard}
		if err := serve.Serve(stream, still{}, ready()); err == nil && !bytes.Contains(said, []byte{byte(guestproto.TypePoweroff)}) {
			t.Error("a stream without Poweroff ended well")
		}
	})
}
