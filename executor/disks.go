package executor

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/program-explorer/pe/internal/archive"
)

// outputHeaders is the room on an output disk for headers and padding beyond
// the limit, which counts content, in bytes: 2 KiB for each entry of an archive.
const outputHeaders = archive.DefaultMaxEntries * 2 << 10

// disks are the files behind a machine's input and output devices.
type disks struct{ input, output *os.File }

func makeDisks(a *attempt) (*disks, error) {
	input, err := makeDisk(filepath.Join(a.dir, "input"), diskBlock)
	if err != nil {
		return nil, err
	}
	size := a.spec.Limits.OutputBytes + outputHeaders
	size = (size + diskBlock - 1) / diskBlock * diskBlock
	output, err := makeDisk(filepath.Join(a.dir, "output"), size)
	if err != nil {
		input.Close()
		return nil, err
	}
	return &disks{input, output}, nil
}

// makeDisk makes a sparse file: it takes only the room that is written.
func makeDisk(path string, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make disk: %w", err)
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("make disk: %w", err)
	}
	return f, nil
}

func (d *disks) close() {
	d.input.Close()
	d.output.Close()
}
