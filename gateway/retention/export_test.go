package retention

import "context"

// Watch is what Run does for the figures of others.
func (s *Stored) Watch(ctx context.Context) error { return s.watch(ctx) }
