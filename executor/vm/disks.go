package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/schemas"
)

// Serials of a machine's disks.
const (
	diskRoot   = "root"
	diskInput  = "input"
	diskOutput = "output"
)

// diskBlock is the granularity of a disk's size, in bytes.
const diskBlock = 4096

// standardOutput is how large an output disk is at least, in bytes: what a job
// with default limits needs. Machines are baked with it, so that most need not be
// told another size when their job comes. A smaller limit is kept by the guest.
var standardOutput = roundUp(executor.OutputDisk(schemas.OutputRange.Default))

func roundUp(bytes int64) int64 { return (bytes + diskBlock - 1) / diskBlock * diskBlock }

// disks are the files behind a machine's input and output devices: sparse, and
// without a name, so that nothing of them outlives us.
type disks struct{ input, output *os.File }

func newDisks(dir string, outputBytes int64) (*disks, error) {
	input, err := newDisk(dir, diskBlock)
	if err != nil {
		return nil, err
	}
	output, err := newDisk(dir, outputSize(outputBytes))
	if err != nil {
		input.Close()
		return nil, err
	}
	return &disks{input, output}, nil
}

// outputSize is how large the output disk is for outputs of so many bytes.
func outputSize(outputBytes int64) int64 { return max(standardOutput, roundUp(outputBytes)) }

// grow makes room for outputs of so many bytes, for the next machine over these disks.
func (d *disks) grow(outputBytes int64) error {
	if err := d.output.Truncate(outputSize(outputBytes)); err != nil {
		return fmt.Errorf("grow output disk: %w", err)
	}
	return nil
}

func newDisk(dir string, size int64) (*os.File, error) {
	f, err := os.CreateTemp(dir, diskName)
	if err != nil {
		return nil, fmt.Errorf("make disk: %w", err)
	}
	if err = os.Remove(f.Name()); err == nil || errors.Is(err, fs.ErrNotExist) { // swept by another
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make disk: %w", err)
	}
	return f, nil
}

// diskName is what names of disks begin with, for as long as they have one.
const diskName = "disk-"

// sweepDisks removes those that a killed process had no time to.
func sweepDisks(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, diskName+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range left {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// devices are the machine's drives, without that of the image.
func (d *disks) devices() []qemu.Disk {
	return []qemu.Disk{{Name: diskInput, File: d.input}, {Name: diskOutput, File: d.output}}
}

func (d *disks) close() {
	d.input.Close()
	d.output.Close()
}
