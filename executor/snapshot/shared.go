package snapshot

import (
	"os"
	"syscall"
)

// shared are the files that several snapshots have and nobody else: the root filesystem of
// an image that the cache has given up since. No single one of them would free it, but
// together they do keep it.
type shared struct {
	files map[inode]*sharedFile
	in    map[string][]inode // by folder
}

type inode struct{ device, number uint64 }

type sharedFile struct {
	bytes       int64
	links, here uint64 // all links to it, and those in folders that were added
}

func newShared() *shared { return &shared{files: map[inode]*sharedFile{}, in: map[string][]inode{}} }

// add counts a snapshot's folder.
func (s *shared) add(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || stat.Nlink == 1 {
			continue // diskUsage has it
		}
		id := inode{uint64(stat.Dev), uint64(stat.Ino)}
		f := s.files[id]
		if f == nil {
			f = &sharedFile{bytes: stat.Blocks * blockSize, links: uint64(stat.Nlink)}
			s.files[id] = f
		}
		f.here++
		s.in[dir] = append(s.in[dir], id)
	}
}

// drop takes a folder that was removed off the count, and returns how many bytes that has freed.
func (s *shared) drop(dir string) (freed int64) {
	before := s.bytes()
	for _, id := range s.in[dir] {
		s.files[id].here--
		s.files[id].links--
	}
	delete(s.in, dir)
	return before - s.bytes()
}

// bytes is how much of the disk they take.
func (s *shared) bytes() (sum int64) {
	for _, f := range s.files {
		if f.here > 0 && f.here == f.links {
			sum += f.bytes
		}
	}
	return sum
}
