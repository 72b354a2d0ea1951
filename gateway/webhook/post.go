package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

const (
	// maxAnswer is read of an answer, so that its connection can be used again.
	maxAnswer = 64 << 10
	// maxReason bounds what is kept of an error, in bytes.
	maxReason = 256
)

// answer is what became of a request.
type answer struct {
	schemas.DeliveryAttempt
	retryAfter time.Duration
}

func (a *answer) delivered() bool { return a.Status/100 == 2 }

// post sends a payload to an address, signed. Whatever happens is an answer; an
// error is ours, or the context's.
func (o *Outbox) post(ctx context.Context, d *schemas.Delivery, address string, keys secrets) (answer, error) {
	body, err := json.Marshal(d.Payload)
	if err != nil {
		return answer{}, fmt.Errorf("encode payload: %w", err)
	}
	now := o.clock.Now()
	signature, err := keys.sign(d.ID, now, body)
	if err != nil {
		return answer{}, err
	}
	limited, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("make request: %w", err)
	}
	req.Header = http.Header{
		headerID: {d.ID}, headerTimestamp: {strconv.FormatInt(now.Unix(), 10)}, headerSignature: {signature},
		"Content-Type": {"application/json"}, "User-Agent": {o.agent},
	}
	begin := time.Now()
	a := o.exchange(req)
	a.AtUS, a.TookMS = now.UnixMicro(), time.Since(begin).Milliseconds()
	o.metrics.seconds.Observe(time.Since(begin).Seconds())
	return a, ctx.Err()
}

// exchange follows no redirect, keeps no cookie, and reads little.
func (o *Outbox) exchange(req *http.Request) (a answer) {
	resp, err := o.transports[req.URL.Scheme].RoundTrip(req)
	if err != nil {
		a.Error = o.explain(req.URL, err)
		return a
	}
	defer resp.Body.Close()
	a.Status, a.retryAfter = resp.StatusCode, retryAfter(resp.Header, o.clock.Now())
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a.Answer = clip(string(head), schemas.MaxAnswerHead)
	if err != nil && !a.delivered() {
		a.Error = o.explain(req.URL, err)
	}
	return a
}

// leadsNowhere is all that is told of a name that cannot be looked up, and of one that leads where
// nothing is sent: whoever may make a webhook could ask for the names of an internal network.
const leadsNowhere = "the host's name leads to no address that may be sent to"

// explain says why there was no answer. It does not repeat the URL, which may hold a
// secret, and names no address but the one that stands there.
func (o *Outbox) explain(to *url.URL, err error) string {
	var repeats *url.Error
	if errors.As(err, &repeats) {
		err = repeats.Err
	}
	var name *net.DNSError
	var timeout net.Error
	var at *net.OpError
	_, notName := netip.ParseAddr(to.Hostname())
	switch {
	case errors.As(err, &name), errors.Is(err, ErrAddress) && notName != nil:
		o.log.Debug("nothing is sent to this host", "host", to.Hostname(), "err", err)
		return leadsNowhere
	case errors.Is(err, ErrAddress):
		return clip(ErrAddress.Error()+addressOf(err), maxReason)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", o.cfg.Timeout)
	case errors.As(err, &at): // it names both ends of the connection
		return clip(at.Err.Error(), maxReason)
	}
	return clip(err.Error(), maxReason)
}

// addressOf is what the guard said, of all that the dialler says.
func addressOf(err error) string {
	_, why, _ := strings.Cut(err.Error(), ErrAddress.Error())
	why, _, _ = strings.Cut(why, "\n")
	return why
}

// clip cuts text to so many bytes of valid UTF-8, and leaves out NUL.
func clip(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
