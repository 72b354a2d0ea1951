package jobqueue

import "testing"

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"nats://me:swordfish@queue:4222":            "nats://queue:4222",
		"tls://me:swordfish@a:4222, nats://token@b": "tls://a:4222,nats://b",
		"nats://queue:4222":                         "nats://queue:4222",
		"://me:swordfish@queue":                     "[unparsable]",
	} {
		if got := redactURL(list); got != want {
			t.Errorf("redactURL(%q) = %q, want %q", list, got, want)
		}
	}
}
