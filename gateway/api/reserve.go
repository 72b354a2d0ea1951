package api

import (
	"cmp"
	"io"
)

// reservedBody is the body of an upload, for which room is taken from what the
// tenant may store: at once if its size is known, else as it comes in.
type reservedBody struct {
	io.Reader
	api    *API
	tenant string
	// again says that the blob takes the place of one that is there.
	again          bool
	read, reserved int64
	refused        error
}

func (a *API) newReservedBody(tenant string, r io.Reader, again bool) *reservedBody {
	return &reservedBody{Reader: r, api: a, tenant: tenant, again: again}
}

func (b *reservedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.read += int64(n); b.read > b.reserved {
		if full := b.reserve(b.read - b.reserved); full != nil {
			return 0, full
		}
	}
	return n, err
}

func (b *reservedBody) reserve(bytes int64) error {
	if !b.again {
		b.refused = b.api.Jobs.Reserve(b.tenant, bytes)
	}
	if b.refused == nil {
		b.reserved += bytes
	}
	return b.refused
}

// settle ends the reservation: so many bytes are stored now. One that is there
// already has been counted.
func (b *reservedBody) settle(stored int64) {
	if !b.again {
		b.api.Jobs.Settle(b.tenant, b.reserved, stored)
	}
}

// refusal is why there was no room, or else err.
func (b *reservedBody) refusal(err error) error { return cmp.Or(b.refused, err) }
