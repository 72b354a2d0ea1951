package oci

import (
	"time"

	"github.com/program-explorer/pe/schemas"
)

// ProbeConfig says what to try.
type ProbeConfig struct {
	// Runner is that of the runner to come; Allow is not asked for.
	Runner Config
	// CacheDir keeps verdicts. Default "": none is kept.
	CacheDir string
	// Deadline bounds the whole probe. Default 1 minute.
	Deadline time.Duration
}

// Verdict says whether a kind of machine works on this host.
type Verdict struct {
	Kind  string `json:"kind"`
	Works bool   `json:"works"`
	// Reason is one line for the log, the facts and a doctor: what was seen, or what to change.
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`    // when it was found
	Facts  string    `json:"facts"` // digest of what it depends on
}

// String is the verdict in one line, for a doctor.
func (v Verdict) String() string {
	name := map[string]string{schemas.IsolationGVisor: "gVisor sandboxes", schemas.IsolationContainer: "containers"}[v.Kind]
	if v.Works {
		return name + " work: " + v.Reason
	}
	return name + " do not work here: " + v.Reason
}
