//go:build linux

package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/program-explorer/pe/executor/ocirun"
)

// How long verdicts are believed. Bad news is asked again soon: hosts are repaired more often than they break.
const (
	goodFor      = 7 * 24 * time.Hour
	badFor       = 10 * time.Minute
	probeTimeout = time.Minute
	maxVerdict   = 16 << 10 // bytes
)

// Probe runs a small machine for each limit and breaks the limit in it. A runner is offered only if all
// of them held. An error means that ctx ended.
func Probe(ctx context.Context, c ProbeConfig) (Verdict, error) {
	if c.Deadline <= 0 {
		c.Deadline = probeTimeout
	}
	c.Runner.Allow = []string{trialReference}
	c.Runner.PoolBytes = 0
	v := Verdict{Kind: c.Runner.Kind}
	var err error
	if v.Facts, err = hostFacts(ctx, c.Runner); err != nil {
		v.Reason, v.At = line(err.Error()), time.Now()
		return v, context.Cause(ctx)
	}
	path := filepath.Join(c.CacheDir, "contained-"+c.Runner.Kind+".json")
	if old, ok := keptVerdict(path, v.Facts); c.CacheDir != "" && ok {
		return old, nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.Deadline, fmt.Errorf("the trial took longer than %s", c.Deadline))
	defer cancel()
	begun := time.Now()
	what, err := tryAll(limited, c.Runner)
	if ctx.Err() != nil {
		return v, context.Cause(ctx) // what was found then means nothing
	}
	v.At, v.Works, v.Reason = time.Now(), err == nil, fmt.Sprintf("%s kept all limits in %d ms", what, time.Since(begun).Milliseconds())
	if err != nil {
		v.Reason = line(err.Error())
	}
	if c.CacheDir != "" {
		if err := keepVerdict(path, v); err != nil && c.Runner.Log != nil {
			c.Runner.Log.Warn("verdict on contained machines not kept", "kind", v.Kind, "err", err)
		}
	}
	return v, nil
}

// hostFacts digests all that the verdict depends on.
func hostFacts(ctx context.Context, c Config) (string, error) {
	if err := c.complete(); err != nil {
		return "", err
	}
	program, err := ocirun.Find(ctx, c.Runtime)
	if err != nil {
		return "", err
	}
	guest, err := fileDigest(c.Guest)
	if err != nil {
		return "", err
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	own, _ := os.ReadFile("/proc/self/cgroup")
	h := sha256.New()
	_ = json.NewEncoder(h).Encode([]any{c.Kind, program, guest, kernelRelease(), string(boot), string(own), os.Geteuid(), filepath.Dir(c.RunDir)})
	return hex.EncodeToString(h.Sum(nil)), nil
}

func keptVerdict(path, facts string) (v Verdict, ok bool) {
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxVerdict {
		return v, false
	}
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &v) != nil || v.Facts != facts {
		return v, false
	}
	lasts := badFor
	if v.Works {
		lasts = goodFor
	}
	age := time.Since(v.At)
	return v, age >= 0 && age < lasts
}

func keepVerdict(path string, v Verdict) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp := path + ".tmp"
	if err := os.WriteFile(temp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// line makes an error fit for one line.
func line(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\ufffd")), " ")
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}

// tryAll makes a runner and takes a trial of each limit through it. It returns what was tried.
func tryAll(ctx context.Context, c Config) (what string, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(c.RunDir), ".trial-")
	if err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	c.RunDir, c.LayerDir, c.Metrics = filepath.Join(dir, "run"), filepath.Join(dir, "layers"), nil
	r, err := New(c)
	if err != nil {
		return "", err
	}
	defer func() {
		if closing := r.Close(); err == nil {
			err = closing
		}
	}()
	image, err := trialImage(ctx, dir, c.Guest)
	if err != nil {
		return "", err
	}
	for _, t := range trials() {
		if err := t.run(ctx, r, image); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s of %s on %s", r.reason, r.cfg.Kind, runtime.GOARCH), nil
}
