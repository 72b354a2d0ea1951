package access

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Defaults of the limits, in requests a second.
const (
	DefaultRate        = 100
	DefaultAddressRate = 10
)

const (
	// tokenBurst and addressBurst are for how many seconds a limit's requests may come at once.
	tokenBurst   = 2
	addressBurst = 10
	// guessCost is as how many requests one with an unknown token counts.
	guessCost = 10
	// limitersKept bounds the memory: of the tokens or addresses that were not
	// seen for longest nothing is known any more, and they begin anew.
	limitersKept = 1 << 16
)

// Limits are how often requests are let in: each token its own number, and all
// that comes from an address without a token that is accepted another. A
// gateway counts what it sees itself.
//
// Whoever has something left is let in, and pays what his request turns out to
// cost, so that a large batch is taken whole and followed by a pause.
type Limits struct {
	tokens    *limiters[string]
	addresses *limiters[netip.Prefix]
	// proven are tokens that came from an address lately: somebody who guesses
	// there must not shut them out.
	proven *lru.Cache[provenKey, struct{}]
}

type provenKey struct {
	from  netip.Prefix
	token string
}

// NewLimits takes the requests a second of a token, and of an address without one; 0 for no limit.
func NewLimits(perToken, perAddress float64) (*Limits, error) {
	for _, r := range []float64{perToken, perAddress} {
		if math.IsNaN(r) || r < 0 || r > 1e6 || r > 0 && r < 0.1 {
			return nil, fmt.Errorf("rate limit %v: want 0.1 to 1000000 requests a second, or 0 for none", r)
		}
	}
	proven, err := lru.New[provenKey, struct{}](limitersKept)
	if err != nil {
		return nil, err
	}
	l := &Limits{proven: proven}
	if l.tokens, err = newLimiters[string]("token", perToken, tokenBurst, 1); err != nil {
		return nil, err
	}
	l.addresses, err = newLimiters[netip.Prefix]("address", perAddress, addressBurst, guessCost)
	return l, err
}

// Token counts a request with a token that is accepted.
func (l *Limits) Token(id string) Verdict { return l.tokens.take(id, 1) }

// PerToken is how many requests a second, and at once, a token has; zeros for no limit.
func (l *Limits) PerToken() (perSecond float64, atOnce int) {
	if l.tokens.policy == "" {
		return 0, 0
	}
	return float64(l.tokens.rate), l.tokens.burst
}

// Charge counts n requests more, for one that asks for as much as so many, and
// says what is left then. A request that was let in goes on, whatever that is.
func (l *Limits) Charge(id string, n int) Verdict {
	if id == "" { // the single user has no limit
		return Verdict{Allowed: true}
	}
	l.tokens.charge(id, n)
	return l.tokens.look(id)
}

// Address counts a request without a token, or with one that has ended.
func (l *Limits) Address(from netip.Addr) Verdict { return l.addresses.take(networkOf(from), 1) }

// Guess counts a request with a token that nobody knows, and says whether it
// may be told so. Afterwards there is the longer nothing left.
func (l *Limits) Guess(from netip.Addr) Verdict { return l.addresses.take(networkOf(from), guessCost) }

// Proven reports whether a token that is accepted may be used from an address:
// where too many tokens were guessed only those may that came from there
// before, so that a guess that is right looks like the others.
func (l *Limits) Proven(from netip.Addr, id string) (Verdict, bool) {
	key := provenKey{networkOf(from), id}
	if _, ok := l.proven.Get(key); ok {
		return Verdict{}, true
	}
	v := l.addresses.look(key.from)
	if v.Allowed {
		l.proven.Add(key, struct{}{})
	}
	return v, v.Allowed
}

// A Verdict says whether a request is let in, and what is left afterwards.
type Verdict struct {
	Allowed bool
	// Policy and Limit are the values of the headers RateLimit-Policy and
	// RateLimit, as draft-ietf-httpapi-ratelimit-headers-11 has them; empty where there is no limit.
	Policy, Limit string
	// Wait is until the next request is let in.
	Wait time.Duration
}

// limiters are the token buckets of one policy.
type limiters[K comparable] struct {
	name   string
	rate   rate.Limit
	burst  int
	policy string
	kept   *lru.Cache[K, *rate.Limiter]
}

// newLimiters allows seconds' worth of requests at once, and at least least.
func newLimiters[K comparable](name string, perSecond float64, seconds, least int) (*limiters[K], error) {
	kept, err := lru.New[K, *rate.Limiter](limitersKept)
	if err != nil {
		return nil, err
	}
	l := &limiters[K]{name: name, rate: rate.Limit(perSecond), kept: kept}
	l.burst = max(least, int(math.Ceil(perSecond*float64(seconds))))
	if perSecond > 0 {
		l.policy = fmt.Sprintf("%q;q=%d;w=%d", name, l.burst, int(math.Ceil(float64(l.burst)/perSecond)))
	}
	return l, nil
}

func (l *limiters[K]) of(key K) *rate.Limiter {
	if had, ok := l.kept.Get(key); ok {
		return had
	}
	made := rate.NewLimiter(l.rate, l.burst)
	if had, ok, _ := l.kept.PeekOrAdd(key, made); ok {
		return had
	}
	return made
}

// take lets a request in if anything is left, and takes what it costs then.
func (l *limiters[K]) take(key K, cost int) Verdict {
	v := l.look(key)
	if v.Allowed && l.policy != "" {
		l.charge(key, cost)
		v.Limit = l.limit(l.of(key).TokensAt(time.Now()))
	}
	return v
}

// look says what take would, and takes nothing.
func (l *limiters[K]) look(key K) Verdict {
	if l.policy == "" {
		return Verdict{Allowed: true}
	}
	left := l.of(key).TokensAt(time.Now())
	return Verdict{Allowed: left >= 1, Policy: l.policy, Limit: l.limit(left), Wait: l.wait(left)}
}

// charge takes n, into debt if there are not so many.
func (l *limiters[K]) charge(key K, n int) {
	if l.policy == "" {
		return
	}
	limiter, now := l.of(key), time.Now()
	for ; n > 0; n -= l.burst {
		limiter.ReserveN(now, min(n, l.burst))
	}
}

// limit is the header's value: how many requests are left, for the time until there is another.
func (l *limiters[K]) limit(left float64) string {
	seconds := max(1, int(math.Ceil(l.wait(left).Seconds())))
	return fmt.Sprintf("%q;r=%d;t=%d", l.name, max(0, int(left)), seconds)
}

func (l *limiters[K]) wait(left float64) time.Duration {
	if left >= 1 {
		return 0
	}
	return time.Duration((1 - left) / float64(l.rate) * float64(time.Second))
}
