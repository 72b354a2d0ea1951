// Package sandbox is the inside of a job's namespaces: the child that guestrd starts
// from its own binary. It becomes process 1 of the job's PID namespace, makes the job's
// root, unpacks the inputs, runs the program without privileges and packs the outputs.
//
// Its place in a job's life: from "a Job message arrived" to "outputs are packed", driven
// by package job over a socket. Archives and paths of users are handled here and not in
// guestrd, because here every path ends in the job's own root.
//
// It must not know the host's protocol, nor that it is in a virtual machine.
package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ChildArg as first argument makes guestrd call Main.
const ChildArg = "job-child"

// RehearsalArg as first argument makes guestrd a program that ends at once.
const RehearsalArg = "rehearsal"

// controlFD is where the child finds its control socket.
const controlFD = 3

// maxWire bounds a message between guestrd and its child, in bytes.
const maxWire = 1 << 20

// Roles of the descriptors that come with Setup. With Root comes one: a detached mount of the job's root
// filesystem. With Collect comes one: where the tar of the outputs goes.
const (
	FDCgroup = "cgroup" // directory of the cgroup for the program
	FDStdin  = "stdin"
	FDStdout = "stdout"
	FDStderr = "stderr"
	FDInput  = "input" // tar to unpack
)

// Order is guestrd's message to the child; exactly one field is set. They come in this order.
type Order struct {
	Root    *Root  `json:"root,omitempty"`
	Setup   *Setup `json:"setup,omitempty"`
	Start   bool   `json:"start,omitempty"`
	Collect bool   `json:"collect,omitempty"`
}

// Root is all that can be done before a job is known. The job's root filesystem comes along, as a detached mount.
type Root struct{ Names }

// Names are what the machine is called in the job's eyes.
type Names struct {
	Hostname  string `json:"hostname"`
	MachineID string `json:"machine_id"`
}

// Setup prepares the program.
type Setup struct {
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	Cwd  string   `json:"cwd"`
	User string   `json:"user"`
	Names
	// Rehearse runs guestrd's own binary with RehearsalArg instead of Argv.
	Rehearse bool `json:"rehearse,omitempty"`
	// StdinPath is a file to open as stdin, if there is no FDStdin.
	StdinPath string `json:"stdin_path,omitempty"`
	// InputSize bounds what is read from FDInput; 0 reads to its end.
	InputSize int64 `json:"input_size,omitempty"`
	// InputRoot unpacks relative to / instead of Cwd.
	InputRoot bool `json:"input_root,omitempty"`
	// ShmSize is the size of /dev/shm in bytes.
	ShmSize int64 `json:"shm_size"`
	// OutputLimit bounds the tar in bytes; 0 is no bound.
	OutputLimit int64    `json:"output_limit,omitempty"`
	Patterns    []string `json:"patterns,omitempty"`
	// FDs are the roles of the descriptors sent along, in their order.
	FDs []string `json:"fds"`
}

// Report is the child's message to guestrd; exactly one field is set.
type Report struct {
	Rooted    bool       `json:"rooted,omitempty"`
	Prepared  *Prepared  `json:"prepared,omitempty"`
	Refused   *Refused   `json:"refused,omitempty"`
	Started   bool       `json:"started,omitempty"`
	Exited    *Exited    `json:"exited,omitempty"`
	Collected *Collected `json:"collected,omitempty"`
	// Failed is the platform's fault.
	Failed string `json:"failed,omitempty"`
}

// Prepared says that only the start is missing.
type Prepared struct {
	Bytes    int64 `json:"bytes"`
	Entries  int64 `json:"entries"`
	UnpackUS int64 `json:"unpack_us"`
	// SetupUS is the time for everything but the unpacking.
	SetupUS int64 `json:"setup_us"`
}

// Refused says that the job can't run, by its own fault.
type Refused struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Exited carries the program's end.
type Exited struct {
	Code   int         `json:"code"`
	Signal int         `json:"signal"`
	WallUS int64       `json:"wall_us"`
	Usage  unix.Rusage `json:"usage"`
}

// Collected describes the packed outputs.
type Collected struct {
	Bytes    int64    `json:"bytes"`
	Entries  int64    `json:"entries"`
	Skipped  int64    `json:"skipped"`
	Paths    []string `json:"paths"`
	OverSize bool     `json:"over_size"`
}

// Send writes m to a control socket, with descriptors attached to its first byte.
func Send(sock *os.File, m any, fds ...int) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode order: %w", err)
	}
	wire := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	wire = append(wire, body...)
	if len(fds) > 0 {
		n, err := unix.SendmsgN(int(sock.Fd()), wire, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
		if err != nil {
			return fmt.Errorf("send order: %w", err)
		}
		wire = wire[n:]
	}
	if len(wire) > 0 {
		if _, err := sock.Write(wire); err != nil {
			return fmt.Errorf("send order: %w", err)
		}
	}
	return nil
}

// Receive reads one message from a control socket into m and returns the descriptors that came with it.
// It returns io.EOF when the other side is gone.
func Receive(sock *os.File, m any) ([]int, error) {
	var head [4]byte
	oob := make([]byte, unix.CmsgSpace(16*4))
	n, oobn, _, _, err := recvmsg(int(sock.Fd()), head[:], oob)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	if n == 0 {
		return nil, io.EOF
	}
	fds, err := rights(oob[:oobn])
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(sock, head[n:]); err != nil {
		return fds, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxWire {
		return fds, fmt.Errorf("receive: message of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(sock, body); err != nil {
		return fds, err
	}
	return fds, json.Unmarshal(body, m)
}

func recvmsg(fd int, p, oob []byte) (n, oobn, flags int, from unix.Sockaddr, err error) {
	for {
		n, oobn, flags, from, err = unix.Recvmsg(fd, p, oob, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			return
		}
	}
}

func rights(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive descriptors: %w", err)
	}
	var fds []int
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, fmt.Errorf("receive descriptors: %w", err)
		}
		fds = append(fds, got...)
	}
	return fds, nil
}
