package vminit

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/guestrd/job"
	"github.com/program-explorer/pe/guestrd/serve"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// imagePath is where the image is mounted.
const imagePath = "/run/image"

// machine acts on the host's messages.
type machine struct{ runner *job.Runner }

func newMachine() *machine {
	return &machine{runner: job.New(job.Config{
		OpenDisk: openDisk,
		// The kernel gives what it does not know of its command line to process 1 as environment.
		PlainIDs: os.Getenv("pe_plain_ids") == "1",
	})}
}

func (m *machine) Identify(id *guestproto.Identity) error {
	if err := identify(id); err != nil {
		return err
	}
	m.runner.SetNames(id.Hostname, id.MachineID)
	return nil
}

func (m *machine) Mount(r *guestproto.Rootfs) error {
	if r.FS != guestproto.FSErofs {
		return fmt.Errorf("mount image: a machine can't use filesystem %q", r.FS)
	}
	device, err := diskPath(r.Serial)
	if err != nil {
		return err
	}
	var options []string
	for _, serial := range r.Data {
		data, err := diskPath(serial)
		if err != nil {
			return err
		}
		options = append(options, "device="+data)
	}
	if err := unix.Mount(device, imagePath, "erofs", unix.MS_RDONLY|unix.MS_NODEV, strings.Join(options, ",")); err != nil {
		return fmt.Errorf("mount image: %w", err)
	}
	return m.runner.SetRoot(imagePath)
}

func (m *machine) Freeze() (int64, error) { return m.runner.Freeze() }

func (m *machine) Prepare(n uint16, spec *guestproto.Job, w *guestproto.Writer) serve.Run {
	return m.runner.Prepare(n, spec, w)
}
