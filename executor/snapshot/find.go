package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// MinPrefix is how many digits of an id name a snapshot, if no other begins with them.
const MinPrefix = 4

// ErrAmbiguous is the beginning of more than one id.
var ErrAmbiguous = errors.New("more than one snapshot begins so")

// Find returns the whole id of the one snapshot that begins with prefix.
func (s *Store) Find(prefix string) (string, error) { return s.find(readyDir, prefix) }

// FindAside is Find among those that were set aside.
func (s *Store) FindAside(prefix string) (string, error) { return s.find(brokenDir, prefix) }

func (s *Store) find(folder, prefix string) (string, error) {
	if len(prefix) < MinPrefix {
		return "", fmt.Errorf("find snapshot %q: %w: want at least %d digits of its id", prefix, ErrNotFound, MinPrefix)
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, folder))
	if err != nil {
		return "", fmt.Errorf("find snapshot: %w", err)
	}
	var found []string
	for _, e := range entries {
		if hexPattern.MatchString(e.Name()) && strings.HasPrefix(e.Name(), prefix) {
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("find snapshot %.80q: %w", prefix, ErrNotFound)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("find snapshot %q: %w: %s", prefix, ErrAmbiguous, strings.Join(found, ", "))
}
