package guestproto

import "fmt"

// Side is one end of the channel.
type Side uint8

// The two ends.
const (
	Host Side = iota + 1
	Guest
)

func (s Side) String() string {
	if s == Host {
		return "host"
	}
	return "guest"
}

// Type is a frame's type. Host's types are below 0x80, guest's from 0x80.
type Type uint8

// What the host sends.
const (
	TypeIdentity Type = 0x01 // machine: entropy, clock, names; first after boot and after every restore
	TypeRootfs   Type = 0x02 // machine: mount the image
	TypeFreeze   Type = 0x03 // machine: the last run's upper becomes a lower layer of later runs
	TypePing     Type = 0x04 // machine: answer with Pong
	TypePoweroff Type = 0x05 // machine: stop now
	TypeJob      Type = 0x10 // run: what to run; the guest prepares it
	TypeInput    Type = 0x11 // run, data: bytes of the input archive
	TypeInputEnd Type = 0x12 // run: the archive is complete
	TypeStart    Type = 0x13 // run: go; may be sent at once, the guest gets there when it is prepared
	TypeStdin    Type = 0x14 // run, data: bytes for the job's standard input
	TypeStdinEnd Type = 0x15 // run: end of standard input
	TypeKill     Type = 0x16 // run: kill the job, its Exit follows; ignored when the run is over
)

// What the guest sends.
const (
	TypeReady        Type = 0x81 // machine: the guest is up; once per boot
	TypeIdentityDone Type = 0x82 // machine: answers Identity
	TypeMounted      Type = 0x83 // machine: answers Rootfs
	TypeFrozen       Type = 0x84 // machine: answers Freeze
	TypePong         Type = 0x85 // machine: answers Ping
	TypeStaged       Type = 0x90 // run: inputs are unpacked, the job is prepared
	TypeStarted      Type = 0x91 // run: the program was executed
	TypeStdout       Type = 0x92 // run, data
	TypeStderr       Type = 0x93 // run, data
	TypeStdinTaken   Type = 0x94 // run: the job's stdin pipe took bytes; opens the window
	TypeExit         Type = 0x95 // run: the program is over and so is everything it started
	TypeOutput       Type = 0x96 // run, data: bytes of the output archive, if it goes over the channel
	TypeCollected    Type = 0x97 // run: ends the run
	TypeFault        Type = 0xff // machine: the guest cannot go on; nothing follows
)

// Caps on a frame's body, in bytes.
const (
	// MaxControl bounds a control message.
	MaxControl = 64 << 10
	// MaxJob bounds the Job message, which carries argv and env.
	MaxJob = 256 << 10
	// MaxData bounds a data frame. Larger frames gain nothing on virtio-serial, whose driver moves 32 KiB at a time.
	MaxData = 64 << 10
	// StdinWindow is how many bytes of stdin the host may have sent beyond what StdinTaken has
	// confirmed. The guest buffers that much, so a job that never reads can't block a Kill.
	StdinWindow = 256 << 10
)

type kind struct {
	name   string
	from   Side
	perRun bool
	data   bool
	cap    int
}

// kindOf is the table of all frames.
func kindOf(t Type) (kind, bool) {
	switch t {
	case TypeIdentity:
		return kind{"identity", Host, false, false, MaxControl}, true
	case TypeRootfs:
		return kind{"rootfs", Host, false, false, MaxControl}, true
	case TypeFreeze:
		return kind{"freeze", Host, false, false, MaxControl}, true
	case TypePing:
		return kind{"ping", Host, false, false, MaxControl}, true
	case TypePoweroff:
		return kind{"poweroff", Host, false, false, MaxControl}, true
	case TypeJob:
		return kind{"job", Host, true, false, MaxJob}, true
	case TypeInput:
		return kind{"input", Host, true, true, MaxData}, true
	case TypeInputEnd:
		return kind{"input_end", Host, true, false, MaxControl}, true
	case TypeStart:
		return kind{"start", Host, true, false, MaxControl}, true
	case TypeStdin:
		return kind{"stdin", Host, true, true, MaxData}, true
	case TypeStdinEnd:
		return kind{"stdin_end", Host, true, false, MaxControl}, true
	case TypeKill:
		return kind{"kill", Host, true, false, MaxControl}, true
	}
	return guestKindOf(t)
}

func guestKindOf(t Type) (kind, bool) {
	switch t {
	case TypeReady:
		return kind{"ready", Guest, false, false, MaxControl}, true
	case TypeIdentityDone:
		return kind{"identity_done", Guest, false, false, MaxControl}, true
	case TypeMounted:
		return kind{"mounted", Guest, false, false, MaxControl}, true
	case TypeFrozen:
		return kind{"frozen", Guest, false, false, MaxControl}, true
	case TypePong:
		return kind{"pong", Guest, false, false, MaxControl}, true
	case TypeStaged:
		return kind{"staged", Guest, true, false, MaxControl}, true
	case TypeStarted:
		return kind{"started", Guest, true, false, MaxControl}, true
	case TypeStdout:
		return kind{"stdout", Guest, true, true, MaxData}, true
	case TypeStderr:
		return kind{"stderr", Guest, true, true, MaxData}, true
	case TypeStdinTaken:
		return kind{"stdin_taken", Guest, true, false, MaxControl}, true
	case TypeExit:
		return kind{"exit", Guest, true, false, MaxControl}, true
	case TypeOutput:
		return kind{"output", Guest, true, true, MaxData}, true
	case TypeCollected:
		return kind{"collected", Guest, true, false, MaxControl}, true
	case TypeFault:
		return kind{"fault", Guest, false, false, MaxControl}, true
	}
	return kind{}, false
}

func (t Type) String() string {
	if k, ok := kindOf(t); ok {
		return k.name
	}
	return fmt.Sprintf("type %#x", uint8(t))
}

// IsData says whether frames of this type carry raw bytes instead of a message.
func (t Type) IsData() bool {
	k, _ := kindOf(t)
	return k.data
}
