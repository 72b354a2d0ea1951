package session_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// script is what a hostile guest sends once a run has begun; w writes well-formed frames.
type script func(w *guestproto.Writer, raw io.Writer)

// against runs a job on a machine that follows a script.
func against(t *testing.T, s script, j *guestproto.Job) (session.Outcome, error) {
	host, guest := net.Pipe()
	defer guest.Close()
	go func() { // it reads whatever comes, for it to be the script that decides
		io.Copy(io.Discard, guest)
	}()
	go func() {
		w := guestproto.NewWriter(guest)
		w.Send(0, ready())
		s(w, guest)
	}()
	o, _, err := session.Open(t.Context(), host, session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	return o.Run(t.Context(), session.Request{Job: j})
}

func header(typ guestproto.Type, run uint16, size uint32) []byte {
	b := binary.BigEndian.AppendUint16([]byte{byte(typ), 0}, run)
	return binary.BigEndian.AppendUint32(b, size)
}

func TestHostileGuests(t *testing.T) {
	staged := func(w *guestproto.Writer) { w.Send(1, &guestproto.Staged{}) }
	started := func(w *guestproto.Writer) { staged(w); w.Send(1, &guestproto.Started{}) }
	for name, tc := range map[string]struct {
		script script
		kind   session.Kind
		says   string
	}{
		"garbage":    {func(_ *guestproto.Writer, raw io.Writer) { raw.Write(bytes.Repeat([]byte{0x55}, 100)) }, session.Lied, "unknown frame"},
		"huge frame": {func(_ *guestproto.Writer, raw io.Writer) { raw.Write(header(guestproto.TypeStdout, 1, 1<<31)) }, session.Lied, "at most"},
		"half a frame": {func(_ *guestproto.Writer, raw io.Writer) {
			raw.Write(header(guestproto.TypeStaged, 1, 99))
			raw.(io.Closer).Close()
		}, session.Died, ""},
		"silence":              {func(*guestproto.Writer, io.Writer) {}, session.Hung, "staged"},
		"silence after staged": {func(w *guestproto.Writer, _ io.Writer) { staged(w) }, session.Hung, "not started"},
		"endless job":          {func(w *guestproto.Writer, _ io.Writer) { started(w) }, session.Hung, "killed job did not end"},
		"no outputs":           {func(w *guestproto.Writer, _ io.Writer) { started(w); w.Send(1, &guestproto.Exit{}) }, session.Hung, "not packed"},
		"end of stream":        {func(w *guestproto.Writer, raw io.Writer) { started(w); raw.(io.Closer).Close() }, session.Died, ""},
		"host's own frame":     {func(_ *guestproto.Writer, raw io.Writer) { raw.Write(header(guestproto.TypePing, 0, 0)) }, session.Lied, "not for the guest"},
		"second ready":         {func(w *guestproto.Writer, _ io.Writer) { w.Send(0, ready()) }, session.Lied, "unexpected"},
		"pong":                 {func(w *guestproto.Writer, _ io.Writer) { w.Send(0, &guestproto.Pong{}) }, session.Lied, "unexpected"},
		"another run":          {func(w *guestproto.Writer, _ io.Writer) { w.Send(2, &guestproto.Staged{}) }, session.Lied, "run 2"},
		"output first":         {func(w *guestproto.Writer, _ io.Writer) { w.Data(guestproto.TypeOutput, 1, []byte("x")) }, session.Lied, "output"},
		"stdout first":         {func(w *guestproto.Writer, _ io.Writer) { w.Data(guestproto.TypeStdout, 1, []byte("x")) }, session.Lied, "stdout"},
		"started unstaged":     {func(w *guestproto.Writer, _ io.Writer) { w.Send(1, &guestproto.Started{}) }, session.Lied, "started"},
		"exit unstarted":       {func(w *guestproto.Writer, _ io.Writer) { w.Send(1, &guestproto.Exit{}) }, session.Lied, "exit"},
		"not started at all": {func(w *guestproto.Writer, _ io.Writer) {
			started(w)
			w.Send(1, &guestproto.Exit{Code: 127, NotStarted: true, Message: "x"})
		}, session.Lied, "exit"},
		"two exits": {func(w *guestproto.Writer, _ io.Writer) {
			started(w)
			w.Send(1, &guestproto.Exit{})
			w.Send(1, &guestproto.Exit{})
		}, session.Lied, "exit"},
		"fault": {func(w *guestproto.Writer, _ io.Writer) { w.Send(0, &guestproto.Fault{Code: "job", Message: "ouch"}) }, session.Faulted, "ouch"},
		"stdin": {func(w *guestproto.Writer, _ io.Writer) { started(w); w.Send(1, &guestproto.StdinTaken{Total: 5}) }, session.Lied, "stdin_taken"},
		"long log": {func(w *guestproto.Writer, _ io.Writer) {
			started(w)
			w.Data(guestproto.TypeStdout, 1, make([]byte, 1001))
		}, session.Lied, "1000 bytes of stdout"},
		"unasked outputs": {func(w *guestproto.Writer, _ io.Writer) {
			started(w)
			w.Send(1, &guestproto.Exit{})
			w.Data(guestproto.TypeOutput, 1, []byte("x"))
		}, session.Lied, "output"},
		"tiny frames": {func(w *guestproto.Writer, _ io.Writer) {
			for {
				if w.Send(1, &guestproto.StdinTaken{}) != nil {
					return
				}
			}
		}, session.Lied, "frames with"},
		"bad message": {func(_ *guestproto.Writer, raw io.Writer) {
			const numbers, more = 4 * 8, 1
			raw.Write(append(header(guestproto.TypeStaged, 1, numbers+more), make([]byte, numbers+more)...))
		}, session.Lied, "staged"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := against(t, tc.script, job())
				var guest *session.GuestError
				if !errors.As(err, &guest) || guest.Kind != tc.kind || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("error %v, want %s with %q", err, tc.kind, tc.says)
				}
			})
		})
	}
}

func TestEndlessOutputs(t *testing.T) {
	t.Parallel()
	j := job()
	j.Output.Via = guestproto.ViaChannel
	_, err := against(t, func(w *guestproto.Writer, _ io.Writer) {
		w.Send(1, &guestproto.Staged{})
		w.Send(1, &guestproto.Started{})
		w.Send(1, &guestproto.Exit{})
		for w.Data(guestproto.TypeOutput, 1, make([]byte, guestproto.MaxData)) == nil {
		}
	}, j)
	var guest *session.GuestError
	if !errors.As(err, &guest) || guest.Kind != session.Lied {
		t.Errorf("error %v", err)
	}
}

// A guest that reads nothing must not hold the host for longer than its patience.
func TestDeafGuest(t *testing.T) {
	for name, say := range map[string]func(context.Context, *session.Session) error{
		"identity": func(ctx context.Context, s *session.Session) error { return s.Identify(ctx, identity()) },
		"job": func(ctx context.Context, s *session.Session) error {
			_, err := s.Run(ctx, session.Request{Job: job()})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { toDeafGuest(t, say) }) })
	}
}

func toDeafGuest(t *testing.T, say func(context.Context, *session.Session) error) {
	host, guest := net.Pipe()
	defer guest.Close()
	go guestproto.NewWriter(guest).Send(0, ready())
	s, _, err := session.Open(t.Context(), host, session.Options{Reply: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err = say(t.Context(), s)
	var lost *session.GuestError
	if !errors.As(err, &lost) || lost.Kind != session.Hung || time.Since(begin) != time.Second {
		t.Errorf("error %v after %s", err, time.Since(begin))
	}
}

func TestSilentGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := net.Pipe()
		defer guest.Close()
		_, _, err := session.Open(t.Context(), host, session.Options{Ready: 5 * time.Second})
		var lost *session.GuestError
		if !errors.As(err, &lost) || lost.Kind != session.Hung {
			t.Errorf("error %v", err)
		}
	})
}

func TestOtherProtocol(t *testing.T) {
	t.Parallel()
	host, guest := net.Pipe()
	defer guest.Close()
	other := ready()
	other.Protocol = guestproto.Version + 1
	go guestproto.NewWriter(guest).Send(0, other)
	if _, _, err := session.Open(t.Context(), host, session.Options{}); err == nil || !strings.Contains(err.Error(), "protocol") {
		t.Errorf("error %v", err)
	}
}

// FuzzGuest lets a guest say anything after its Ready.
func FuzzGuest(f *testing.F) {
	var good bytes.Buffer
	w := guestproto.NewWriter(&good)
	w.Send(1, &guestproto.Staged{})
	w.Send(1, &guestproto.Started{})
	w.Data(guestproto.TypeStdout, 1, []byte("hello"))
	w.Send(1, &guestproto.Exit{Code: 1})
	w.Send(1, &guestproto.Collected{})
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:len(good.Bytes())-10])
	f.Add(append(header(guestproto.TypeFault, 0, 8), "\x00\x00\x00\x04job"...))
	f.Fuzz(func(t *testing.T, said []byte) {
		out, err := against(t, func(_ *guestproto.Writer, raw io.Writer) {
			raw.Write(said)
			raw.(io.Closer).Close()
		}, job())
		if err == nil && (out.CollectedAt.IsZero() || out.StdoutBytes > 1000) {
			t.Errorf("believed %+v", out)
		}
	})
}
