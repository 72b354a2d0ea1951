package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Manifest says what a snapshot is made of.
type Manifest struct {
	ID  string `json:"id"`
	Key Key    `json:"key"`
	// RAM is the sparse digest (see package sparse) and the size of the guest's memory.
	RAM File `json:"ram"`
	// State is what QEMU saved.
	State File `json:"state"`
	// Pin is how the root filesystem came into the snapshot.
	Pin How `json:"pin"`
	// Note is the baker's.
	Note    json.RawMessage `json:"note,omitempty"`
	BakedUS int64           `json:"baked_us"` // when, in microseconds since the Unix epoch
	BakeMS  int64           `json:"bake_ms"`  // how long it took
}

// Baked is when the snapshot was made.
func (m Manifest) Baked() time.Time { return time.UnixMicro(m.BakedUS) }

// Files of a snapshot.
const (
	ramFile      = "ram"
	stateFile    = "state"
	rootfsFile   = "rootfs.erofs"
	manifestFile = "manifest.json"
	// useFile is locked, shared, by whoever uses the snapshot, and its time is that of
	// the last use.
	useFile = "use"
)

const (
	maxManifest = 1 << 20
	maxState    = 64 << 20
)

// parseManifest decodes the manifest of the snapshot that is to be id.
func parseManifest(b []byte, id string) (Manifest, error) {
	var m Manifest
	if len(b) > maxManifest {
		return m, fmt.Errorf("manifest has %d bytes", len(b))
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("decode manifest: %w", err)
	}
	own, err := m.Key.ID()
	switch {
	case err != nil:
		return m, err
	case own != id || m.ID != id:
		return m, fmt.Errorf("manifest is %s's, with the key of %s", m.ID, own)
	case m.RAM.Size != m.Key.Memory || m.State.Size <= 0 || m.State.Size > maxState:
		return m, fmt.Errorf("manifest has %d bytes of memory and %d of state", m.RAM.Size, m.State.Size)
	}
	return m, nil
}

// readManifest reads the manifest in an open snapshot, and checks that its files have the
// sizes that it names: all that is cheap to check at each use. With an error of the files, the
// manifest is there all the same.
func readManifest(root *os.Root, id string) (Manifest, error) {
	info, err := root.Stat(manifestFile)
	if err == nil && info.Size() > maxManifest {
		err = errors.New("manifest is too long")
	}
	if err != nil {
		return Manifest{}, err
	}
	b, err := root.ReadFile(manifestFile)
	if err != nil {
		return Manifest{}, err
	}
	m, err := parseManifest(b, id)
	if err != nil {
		return Manifest{}, err
	}
	for name, want := range map[string]int64{ramFile: m.RAM.Size, stateFile: m.State.Size, rootfsFile: m.Key.Rootfs.Size} {
		info, err := root.Stat(name)
		if err != nil {
			return m, err
		}
		if info.Size() != want {
			return m, fmt.Errorf("%s has %d bytes, want %d", name, info.Size(), want)
		}
	}
	return m, nil
}
