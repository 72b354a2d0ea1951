package executor

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/schemas"
)

// localObject is a file on this host that becomes an object of the attempt.
type localObject struct {
	schemas.Object
	path string
}

// write makes an object of what content writes.
func (a *attempt) write(name string, content func(io.Writer) error) (localObject, error) {
	file, err := a.create(name)
	if err != nil {
		return localObject{}, fmt.Errorf("keep %s: %w", name, err)
	}
	defer file.Close()
	hash := sha256.New()
	count := &counter{w: io.MultiWriter(file, hash)}
	buffered := bufio.NewWriterSize(count, 64<<10)
	if err = content(buffered); err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		return localObject{}, fmt.Errorf("keep %s: %w", name, err)
	}
	return localObject{schemas.Object{Name: name, Size: count.n, SHA256: schemas.Digest(hash.Sum(nil))}, file.Name()}, nil
}

// compress copies r to w as zstd.
func compress(w io.Writer, r io.Reader) error {
	enc, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	if _, err := io.Copy(enc, r); err != nil {
		return err
	}
	return enc.Close()
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
