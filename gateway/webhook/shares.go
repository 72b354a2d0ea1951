package webhook

// shares are what receivers have of the room that a tenant has: half is for webhooks,
// half for callbacks, whose hosts are many and are never disabled. A receiver may have
// one more as long as it has less than a part of what is free. So one that takes nothing
// leaves nearly all to the others, and however many do, there is some for the next.
// They are not safe for concurrent use.
type shares struct {
	most      int // in each half
	part      int // of what is free: 2 is half of it
	halves    map[half]int
	receivers map[receiver]int
}

type half struct {
	tenant    string
	callbacks bool
}

func (r receiver) half() half { return half{r.tenant, r.target == callbackTarget} }

// newShares of so many for each tenant, 2 or more.
func newShares(most, part int) shares {
	return shares{most: max(most/2, 1), part: part, halves: map[half]int{}, receivers: map[receiver]int{}}
}

// count adds to what a receiver has, or takes away.
func (s *shares) count(r receiver, by int) {
	if s.receivers[r] += by; s.receivers[r] == 0 {
		delete(s.receivers, r)
	}
	if s.halves[r.half()] += by; s.halves[r.half()] == 0 {
		delete(s.halves, r.half())
	}
}

func (s *shares) free(r receiver) int { return s.most - s.halves[r.half()] }

// room reports whether a receiver may have one more.
func (s *shares) room(r receiver) bool { return s.receivers[r]*s.part < s.free(r) }

// space is how many more a receiver may have, if no other gets any meanwhile.
func (s *shares) space(r receiver) int {
	return max(s.free(r)-s.receivers[r]*s.part+s.part, 0) / (s.part + 1)
}

// total is what all receivers of all tenants have.
func (s *shares) total() (n int) {
	for _, have := range s.halves {
		n += have
	}
	return n
}
