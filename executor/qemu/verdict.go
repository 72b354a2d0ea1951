package qemu

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxVerdict bounds a kept verdict, in bytes.
const maxVerdict = 16 << 10

func (p prober) file() string {
	return filepath.Join(p.config.CacheDir, "accel-"+p.config.Arch+".json")
}

// cached returns a verdict on the same facts that has not expired. What can't be
// read is no verdict.
func (p prober) cached() (v Verdict, ok bool) {
	if p.facts == "" {
		return v, false
	}
	f, err := os.Open(p.file())
	if err != nil {
		return v, false
	}
	defer f.Close()
	if json.NewDecoder(io.LimitReader(f, maxVerdict)).Decode(&v) != nil || v.Facts != p.facts {
		return v, false
	}
	lasts := goodFor
	switch v.Accel {
	case KVM, HVF:
	case TCG:
		lasts = badFor
	default:
		return v, false
	}
	age := p.now().Sub(v.At)
	return v, age >= 0 && age < lasts
}

func (p prober) keep(v Verdict) error {
	if p.facts == "" {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.config.CacheDir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(p.config.CacheDir, ".accel-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), p.file())
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// hostFacts digests all that an accelerator's working depends on: the host's
// kernel and boot (settings and modules change with it), its CPU, its device,
// QEMU, and who runs it.
func hostFacts(c ProbeConfig) (string, error) {
	qemu, err := fileDigest(c.Binary)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fact := func(name string, value any) { fmt.Fprintf(h, "%s=%v\n", name, value) }
	fact("qemu", qemu)
	fact("kernel", firstOf("/proc/sys/kernel/osrelease"))
	fact("boot", firstOf("/proc/sys/kernel/random/boot_id"))
	fact("cpu", cpuModel())
	fact("uid", os.Geteuid())
	if c.User != nil {
		fact("user", *c.User)
	}
	if info, err := os.Stat("/dev/kvm"); err == nil {
		gid, _ := groupOf("/dev/kvm")
		fact("kvm", fmt.Sprint(info.Mode(), gid))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("digest %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// firstOf is the beginning of a small file, "" where there is none.
func firstOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 4096))
	return string(b)
}
