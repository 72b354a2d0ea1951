package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/program-explorer/pe/internal/objstore"
)

// Put implements objstore.Store: the content goes to a temporary file while it
// is hashed; the file is synced, given its name, and the folder synced.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	info, err := s.put(ctx, key, r, o)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: %w", objstore.ErrFull, err)
	}
	if err != nil {
		return objstore.Info{}, fmt.Errorf("put object %s: %w", key, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, key string, r io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, err
	}
	v, err := objstore.NewVerifyReader(ctx, r, o)
	if err != nil {
		return objstore.Info{}, err
	}
	if o.IfAbsent {
		// Saves reading a body that can't win; the link below is what decides.
		if _, err := s.root.Lstat(fileOf(key)); err == nil {
			return objstore.Info{}, objstore.ErrExists
		}
	}
	t, err := s.createTemp()
	if err != nil {
		return objstore.Info{}, err
	}
	defer t.discard()
	info, err := t.fill(v, key, o.ContentType)
	if err != nil {
		return objstore.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, err
	}
	return info, s.publish(t, key, o.IfAbsent)
}

// publish gives the file its name and makes that durable. After the name is
// there the put is not undone: the caller may see an error of the sync, and
// the object, as with any store whose answer was lost.
func (s *Store) publish(t *temp, key string, ifAbsent bool) error {
	folder := folderOf(key)
	s.names.RLock()
	epoch := s.folders.epoch()
	err := s.root.MkdirAll(folder, 0o700)
	if err == nil {
		err = t.rename(fileOf(key), ifAbsent)
	}
	s.names.RUnlock()
	if err != nil {
		return err
	}
	return s.syncUpwards(folder, epoch)
}

// syncUpwards syncs the folder, and those parents that are not known to be on
// disk. Puts do not share these syncs: ext4's journal joins syncs that run at
// once, and with 16 writers a queue in front of it gained nothing.
func (s *Store) syncUpwards(folder string, epoch uint64) error {
	if err := s.syncFolder(folder); err != nil && !absent(err) {
		return err
	}
	for folder != objDir && !s.folders.known(folder) {
		parent := filepath.Dir(folder)
		if err := s.syncFolder(parent); err != nil && !absent(err) {
			return err
		}
		s.folders.remember(folder, epoch)
		folder = parent
	}
	return nil
}

// syncFolder is one fsync of a folder. One that is gone was pruned after its
// last object was deleted: nothing is left to keep.
func (s *Store) syncFolder(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// temp is an object on its way in.
type temp struct {
	root *os.Root
	f    *os.File
	name string // "" once it has its final name
}

func (s *Store) createTemp() (*temp, error) {
	name := tmpDir + "/" + rand.Text()
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &temp{root: s.root, f: f, name: name}, nil
}

// fill writes content and trailer and syncs them.
func (t *temp) fill(v *objstore.VerifyReader, key, contentType string) (objstore.Info, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	// The wrapper hides (*os.File).ReadFrom, which would use a small buffer of its own.
	if _, err := io.CopyBuffer(struct{ io.Writer }{t.f}, v, *buf); err != nil {
		return objstore.Info{}, err
	}
	if contentType == "" {
		contentType = defaultType
	}
	info := objstore.Info{Key: key, Size: v.Size(), SHA256: v.SHA256(), ContentType: contentType}
	b, err := encodeTrailer(info)
	if err != nil {
		return objstore.Info{}, err
	}
	if _, err := t.f.Write(b); err != nil {
		return objstore.Info{}, err
	}
	if err := t.f.Sync(); err != nil {
		return objstore.Info{}, err
	}
	st, err := t.f.Stat()
	if err != nil {
		return objstore.Info{}, err
	}
	info.ModTime = st.ModTime()
	return info, nil
}

// copyBuffers saves a 256 KiB allocation per put; it holds no state.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// rename gives the file its name. A link fails when the name is taken, which
// makes IfAbsent atomic everywhere; rename would replace it.
func (t *temp) rename(to string, ifAbsent bool) error {
	if !ifAbsent {
		if err := t.root.Rename(t.name, to); err != nil {
			return err
		}
		t.name = ""
		return nil
	}
	err := t.root.Link(t.name, to)
	if errors.Is(err, os.ErrExist) {
		return objstore.ErrExists
	}
	return err
}

// discard closes the file and removes its temporary name, if it still has it.
func (t *temp) discard() {
	t.f.Close()
	if t.name != "" {
		t.root.Remove(t.name)
	}
}
