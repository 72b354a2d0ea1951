package guestproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// samples holds one valid message of every type.
func samples() map[guestproto.Side][]guestproto.Message {
	return map[guestproto.Side][]guestproto.Message{
		guestproto.Host: {
			&guestproto.Identity{Entropy: make([]byte, 64), ClockNS: 1, Hostname: "pe-1", MachineID: strings.Repeat("0a", 16)},
			&guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "root", Data: []string{"data0"}},
			&guestproto.Rootfs{FS: guestproto.FSHost},
			&guestproto.Freeze{},
			&guestproto.Ping{Nonce: 1<<64 - 1},
			&guestproto.Poweroff{},
			sampleJob(),
			rehearsal(),
			&guestproto.InputEnd{Size: 512},
			&guestproto.Start{},
			&guestproto.StdinEnd{},
			&guestproto.Kill{Reason: "cancelled", Limit: guestproto.LimitWall},
		},
		guestproto.Guest: {
			&guestproto.Ready{Protocol: guestproto.Version, Arch: "riscv64", Kernel: "6.1", CPUModel: "<a&b>", Features: []string{"a", "c", "zba"}, Guest: "dev", Enforces: []string{"cpu", "wall"}},
			&guestproto.IdentityDone{},
			&guestproto.Mounted{TookUS: 5},
			&guestproto.Frozen{Bytes: 4096},
			&guestproto.Pong{Nonce: 7},
			&guestproto.Staged{Bytes: 1, Entries: 1},
			&guestproto.Started{SinceStartUS: 100},
			&guestproto.StdinTaken{Total: 3},
			&guestproto.Exit{Signal: 9, Limit: "memory", LimitsHit: []string{"memory", "pids"}},
			&guestproto.Exit{Code: 127, NotStarted: true, Message: "gcc: not found"},
			&guestproto.Collected{Bytes: 1024, Entries: 1, SkippedPaths: []string{`"a\n"`}},
			&guestproto.Fault{Code: guestproto.FaultInput, Message: "tar: \ufffd"},
		},
	}
}

func sampleJob() *guestproto.Job {
	return &guestproto.Job{
		Argv: []string{"sh", "-c", "echo \u2028 <&>"}, Env: []string{"PATH=/bin"}, Cwd: "/work", User: "1000:1000",
		Limits: guestproto.Limits{WallMS: 1000, Scratch: 1 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaDisk, Serial: "in", Size: 10240},
		Output: guestproto.Output{Via: guestproto.ViaChannel, Patterns: []string{"*.o"}},
		Stdin:  guestproto.Stdin{Via: guestproto.ViaFile, Path: "data.txt"},
	}
}

func rehearsal() *guestproto.Job {
	j := sampleJob()
	j.Argv, j.Rehearse = nil, true
	return j
}

func runOf(m guestproto.Message) uint16 {
	if t := m.Type(); t >= 0x10 && t < 0x80 || t >= 0x90 && t < 0xff {
		return 3
	}
	return 0
}

func TestEveryMessageRoundTrips(t *testing.T) {
	for side, messages := range samples() {
		var wire bytes.Buffer
		w := guestproto.NewWriter(&wire)
		for _, m := range messages {
			if err := w.Send(runOf(m), m); err != nil {
				t.Fatalf("send %s: %v", m.Type(), err)
			}
		}
		r := guestproto.NewReader(&wire, side)
		for _, want := range messages {
			f, err := r.Next()
			if err != nil {
				t.Fatalf("next, %s wanted: %v", want.Type(), err)
			}
			got, err := guestproto.Decode(f)
			if err != nil {
				t.Fatalf("decode %s: %v", f.Type, err)
			}
			if !reflect.DeepEqual(got, want) || f.Run != runOf(want) {
				t.Errorf("run %d: got %+v, want %+v", f.Run, got, want)
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("after the last frame: %v", err)
		}
	}
}

func TestDataIsCutIntoFrames(t *testing.T) {
	var wire bytes.Buffer
	sent := bytes.Repeat([]byte("0123456789abcdef"), guestproto.MaxData/16+100)
	if err := guestproto.NewWriter(&wire).Data(guestproto.TypeStdout, 1, sent); err != nil {
		t.Fatal(err)
	}
	r := guestproto.NewReader(&wire, guestproto.Guest)
	var got []byte
	for range 2 {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Body...)
	}
	if !bytes.Equal(got, sent) {
		t.Error("bytes differ")
	}
}

func frame(typ, reserved byte, run uint16, size uint32, body string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{typ, reserved}, run)
	return append(binary.BigEndian.AppendUint32(b, size), body...)
}

func TestBrokenFrames(t *testing.T) {
	for name, tc := range map[string]struct {
		wire []byte
		want string
	}{
		"unknown type":     {frame(0x70, 0, 0, 0, ""), "unknown frame type"},
		"wrong side":       {frame(byte(guestproto.TypePing), 0, 0, 2, "{}"), "not for the guest"},
		"reserved":         {frame(byte(guestproto.TypePong), 1, 0, 2, "{}"), "reserved"},
		"run missing":      {frame(byte(guestproto.TypeStdout), 0, 0, 1, "x"), "run number 0"},
		"run out of place": {frame(byte(guestproto.TypePong), 0, 9, 2, "{}"), "run number 9"},
		"huge control":     {frame(byte(guestproto.TypePong), 0, 0, 1<<31, ""), "at most 65536"},
		"huge data":        {frame(byte(guestproto.TypeStdout), 0, 1, guestproto.MaxData+1, ""), "at most"},
		"empty data":       {frame(byte(guestproto.TypeStdout), 0, 1, 0, ""), "empty"},
	} {
		_, err := guestproto.NewReader(bytes.NewReader(tc.wire), guestproto.Guest).Next()
		var broken *guestproto.ProtocolError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	for _, cut := range []int{1, 7, 9} {
		wire := frame(byte(guestproto.TypePong), 0, 0, 8, "12345678")[:cut]
		if _, err := guestproto.NewReader(bytes.NewReader(wire), guestproto.Guest).Next(); err != io.ErrUnexpectedEOF {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

// body is what the wire has of a valid message.
func body(t *testing.T, m guestproto.Message) string {
	t.Helper()
	var wire bytes.Buffer
	if err := guestproto.NewWriter(&wire).Send(runOf(m), m); err != nil {
		t.Fatal(err)
	}
	return wire.String()[8:]
}

func TestBrokenMessages(t *testing.T) {
	pong := body(t, &guestproto.Pong{Nonce: 7})
	exit := body(t, &guestproto.Exit{LimitsHit: []string{"cpu"}, Message: "m"})
	truth := strings.Index(exit, "cpu") + len("cpu") // NotStarted
	fault := body(t, &guestproto.Fault{Code: guestproto.FaultSetup, Message: "text"})
	change := func(s string, at int, b string) string { return s[:at] + b + s[at+len(b):] }
	for name, tc := range map[string]struct {
		typ  guestproto.Type
		body string
	}{
		"nothing":         {guestproto.TypePong, ``},
		"a byte missing":  {guestproto.TypePong, pong[1:]},
		"a byte more":     {guestproto.TypePong, pong + "\x00"},
		"more than none":  {guestproto.TypeIdentityDone, "\x00"},
		"neither 0 nor 1": {guestproto.TypeExit, change(exit, truth, "\x02")},
		"half a list":     {guestproto.TypeExit, exit[:truth-1]},
		"endless list":    {guestproto.TypeExit, change(exit, truth-11, "\xff\xff\xff\xff")},
		"endless text":    {guestproto.TypeFault, change(fault, 0, "\xff\xff\xff\xff")},
		"text too long":   {guestproto.TypeFault, change(fault, 3, "\x7f")},
		"huge code":       {guestproto.TypeExit, change(exit, 0, "\x01")},
		"unknown code":    {guestproto.TypeFault, strings.Replace(fault, "setup", "other", 1)},
		"not UTF-8":       {guestproto.TypeFault, strings.Replace(fault, "text", "te\xffx", 1)},
		"long text":       {guestproto.TypeFault, strings.Replace(fault, "\x00\x04text", "\x04\x01"+strings.Repeat("x", 1025), 1)},
		"negative":        {guestproto.TypeMounted, strings.Repeat("\xff", 8)},
		"data":            {guestproto.TypeStdout, pong},
	} {
		_, err := guestproto.Decode(guestproto.Frame{Type: tc.typ, Body: []byte(tc.body)})
		var broken *guestproto.ProtocolError
		if !errors.As(err, &broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	job := func(change func(*guestproto.Job)) guestproto.Message {
		j := sampleJob()
		change(j)
		return j
	}
	for name, m := range map[string]guestproto.Message{
		"little entropy":     &guestproto.Identity{Entropy: make([]byte, 63), ClockNS: 1, Hostname: "a", MachineID: strings.Repeat("0", 32)},
		"hostname":           &guestproto.Identity{Entropy: make([]byte, 64), ClockNS: 1, Hostname: "a b", MachineID: strings.Repeat("0", 32)},
		"machine id":         &guestproto.Identity{Entropy: make([]byte, 64), ClockNS: 1, Hostname: "a", MachineID: strings.Repeat("X", 32)},
		"rootfs serial":      &guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "../../etc"},
		"rootfs unwanted":    &guestproto.Rootfs{FS: guestproto.FSHost, Serial: "x"},
		"no argv":            job(func(j *guestproto.Job) { j.Argv = nil }),
		"empty argv":         job(func(j *guestproto.Job) { j.Argv = []string{""} }),
		"rehearsal of argv":  job(func(j *guestproto.Job) { j.Rehearse = true }),
		"NUL":                job(func(j *guestproto.Job) { j.Env = []string{"A=\x00"} }),
		"relative cwd":       job(func(j *guestproto.Job) { j.Cwd = "work" }),
		"dirty cwd":          job(func(j *guestproto.Job) { j.Cwd = "/work/../etc" }),
		"no wall":            job(func(j *guestproto.Job) { j.Limits.WallMS = 0 }),
		"negative memory":    job(func(j *guestproto.Job) { j.Limits.Memory = -1 }),
		"disk without name":  job(func(j *guestproto.Job) { j.Input.Serial = "" }),
		"input from a file":  job(func(j *guestproto.Job) { j.Input.Via = guestproto.ViaFile }),
		"stdin without path": job(func(j *guestproto.Job) { j.Stdin.Path = "" }),
		"two ends":           &guestproto.Exit{Code: 1, Signal: 9},
		"code":               &guestproto.Exit{Code: 256},
		"limit not hit":      &guestproto.Exit{Limit: "wall"},
		"unsorted features":  &guestproto.Ready{Arch: "amd64", Features: []string{"b", "a"}},
		"feature of blanks":  &guestproto.Ready{Arch: "amd64", Features: []string{"a b"}},
		"too many features":  &guestproto.Ready{Arch: "amd64", Features: numbered(guestproto.MaxFeatures + 1)},
		"unsorted limits":    &guestproto.Exit{LimitsHit: []string{"wall", "cpu"}},
		"unknown limit":      &guestproto.Exit{LimitsHit: []string{"luck"}},
		"silent 127":         &guestproto.Exit{Code: 127, NotStarted: true},
		"collected limit":    &guestproto.Collected{Limit: "wall"},
	} {
		if err := m.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// numbered are n names in order.
func numbered(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("f%05d", i))
	}
	return all
}

// What a peer sends to be refused does not fill a log.
func TestRefusalsAreShort(t *testing.T) {
	long := strings.Repeat("\x01", 60<<10)
	for _, m := range []guestproto.Message{
		&guestproto.Ready{Arch: long},
		&guestproto.Ready{Arch: "amd64", Enforces: []string{long}},
		&guestproto.Ready{Arch: "amd64", Features: []string{long}},
		&guestproto.Exit{Limit: long},
		&guestproto.Exit{LimitsHit: []string{long}},
		&guestproto.Exit{Message: long},
		&guestproto.Collected{Limit: long},
		&guestproto.Collected{SkippedPaths: []string{strings.Repeat("\xff", 1<<10)}},
		&guestproto.Fault{Code: long},
	} {
		if err := m.Validate(); err == nil || len(err.Error()) > 300 {
			t.Errorf("%s: %.100v", m.Type(), err)
		}
	}
}
