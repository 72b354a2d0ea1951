package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// commandsOf makes commands for a run that was cut off.
func commandsOf(t *testing.T, dir string) (folder string) {
	t.Helper()
	folder, err := os.MkdirTemp("", commandsPrefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	held, err := claimCommands(folder)
	if err == nil {
		err = held.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ped"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	name(t, dir, folder)
	return folder
}

func name(t *testing.T, dir, folder string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, commandsName)), nameCommands(dir, folder)); err != nil {
		t.Fatal(err)
	}
}

func TestReclaimCommands(t *testing.T) {
	t.Parallel()
	dir := ofRun(t)
	folder, others := commandsOf(t, dir), commandsOf(t, ofRun(t))
	if err := reclaim(dir); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{dir, folder} {
		if _, err := os.Lstat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", gone, err)
		}
	}
	if _, err := os.Stat(filepath.Join(others, "ped")); err != nil {
		t.Errorf("another run's: %v", err)
	}
	ended := ofRun(t) // by itself
	if err := os.RemoveAll(commandsOf(t, ended)); err != nil {
		t.Fatal(err)
	}
	if err := reclaim(ended); err != nil {
		t.Errorf("its commands are gone already: %v", err)
	}
}

// TestReclaimCommandsSpares what is not an ended run's, whatever its folder says.
func TestReclaimCommandsSpares(t *testing.T) {
	t.Parallel()
	for what, prepare := range map[string]func(t *testing.T, dir, folder string) (kept string){
		"commands of a run that is under way": func(t *testing.T, _, folder string) string {
			held, err := claimCommands(folder)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { held.Close() })
			return folder
		},
		"a folder without a lock": func(t *testing.T, _, folder string) string {
			if err := os.Remove(filepath.Join(folder, commandsLock)); err != nil {
				t.Fatal(err)
			}
			return folder
		},
		"a folder elsewhere": func(t *testing.T, dir, folder string) string {
			elsewhere := filepath.Join(t.TempDir(), filepath.Base(folder))
			if err := os.CopyFS(elsewhere, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			name(t, dir, elsewhere)
			return elsewhere
		},
		"a folder of another name": func(t *testing.T, dir, folder string) string {
			other, err := os.MkdirTemp("", "pe-other-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(other) })
			if err := os.CopyFS(other, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			name(t, dir, other)
			return other
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := ofRun(t)
			kept := prepare(t, dir, commandsOf(t, dir))
			if err := reclaim(dir); err == nil {
				t.Error("it was reclaimed")
			}
			if _, err := os.Stat(filepath.Join(kept, "ped")); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, runLog)); err != nil {
				t.Error(err)
			}
		})
	}
}
