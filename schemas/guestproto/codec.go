package guestproto

import (
	"encoding/binary"
	"math"
)

// codec writes a message's fields one after the other, or reads them: each message names its fields once,
// for both. Every value has exactly one encoding: an integer is 8 bytes, big endian; a truth one byte, 0 or 1; text
// and bytes are preceded by their length, and a list by its, in 4 bytes. No JSON: it takes a thousand blocks
// of a guest's code, each of which an emulated machine has to translate when it was just restored.
type codec struct {
	decode bool
	b      []byte // what was written, or is left to read
	broken bool   // what was read can't be the encoding of anything
}

// take returns the next n bytes, or zeros at the end of a broken message.
func (c *codec) take(n int) []byte {
	if n > len(c.b) {
		c.broken, c.b = true, nil
		return make([]byte, min(n, 8))
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *codec) number(v *uint64) {
	if c.decode {
		*v = binary.BigEndian.Uint64(c.take(8))
		return
	}
	c.b = binary.BigEndian.AppendUint64(c.b, *v)
}

func (c *codec) integers(values ...*int64) {
	for _, v := range values {
		n := uint64(*v)
		c.number(&n)
		*v = int64(n)
	}
}

func (c *codec) small(v *int) {
	n := int64(*v)
	c.integers(&n)
	c.broken = c.broken || n < math.MinInt32 || n > math.MaxInt32
	*v = int(n)
}

func (c *codec) truth(v *bool) {
	if c.decode {
		p := c.take(1)[0]
		c.broken = c.broken || p > 1
		*v = p == 1
		return
	}
	p := byte(0)
	if *v {
		p = 1
	}
	c.b = append(c.b, p)
}

// length is that of what follows, of which each element takes at least size bytes.
func (c *codec) length(n, size int) int {
	if !c.decode {
		c.b = binary.BigEndian.AppendUint32(c.b, uint32(n))
		return n
	}
	n = int(binary.BigEndian.Uint32(c.take(4)))
	if n > len(c.b)/size {
		c.broken, c.b = true, nil
		return 0
	}
	return n
}

func (c *codec) bytes(v *[]byte) {
	n := c.length(len(*v), 1)
	if c.decode {
		*v = append([]byte(nil), c.take(n)...)
		return
	}
	c.b = append(c.b, *v...)
}

func (c *codec) texts(values ...*string) {
	for _, v := range values {
		n := c.length(len(*v), 1)
		if c.decode {
			*v = string(c.take(n))
			continue
		}
		c.b = append(c.b, *v...)
	}
}

func (c *codec) list(v *[]string) {
	n := c.length(len(*v), 4)
	if c.decode {
		*v = nil
		if n > 0 {
			*v = make([]string, n)
		}
	}
	for i := range *v {
		c.texts(&(*v)[i])
	}
}
