package atrest

import "io"

// stored writes a zstd frame of raw blocks (RFC 8878, 3.1.1): a frame header
// without content size or checksum, then blocks of a 3-byte header and content.
type stored struct {
	w      io.Writer
	buf    []byte // header space, then content
	opened bool
}

const (
	rawBlock   = 128 << 10 // the largest block that a frame may hold
	blockHead  = 3
	windowByte = 0x38 // exponent 7, mantissa 0: a window of 128 KiB
)

func newStored(w io.Writer) *stored {
	return &stored{w: w, buf: make([]byte, blockHead, blockHead+rawBlock)}
}

func (s *stored) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if len(s.buf) == cap(s.buf) {
			if err := s.block(false); err != nil {
				return total - len(p), err
			}
		}
		n := min(len(p), cap(s.buf)-len(s.buf))
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
	}
	return total, nil
}

// block writes what is in the buffer.
func (s *stored) block(last bool) error {
	if !s.opened {
		s.opened = true
		if _, err := s.w.Write([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, windowByte}); err != nil {
			return err
		}
	}
	head := uint32(len(s.buf)-blockHead) << 3 // type raw is 0 in bits 1 and 2
	if last {
		head |= 1
	}
	s.buf[0], s.buf[1], s.buf[2] = byte(head), byte(head>>8), byte(head>>16)
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:blockHead]
	return err
}

// Close writes the last block, which may be empty.
func (s *stored) Close() error { return s.block(true) }
