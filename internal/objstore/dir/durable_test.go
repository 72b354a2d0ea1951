package dir_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
)

func put(t *testing.T, s *dir.Store, key, content string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, strings.NewReader(content), objstore.PutOptions{Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
}

func TestSecondInstance(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "made", "on", "demand")
	first, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	_, err = dir.Open(dir.Config{Path: path})
	if !errors.Is(err, dir.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("second open: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// Objects, and URLs that are out, outlive a restart; unfinished puts do not.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	c := dir.Config{Path: path, BaseURL: func() string { return "http://127.0.0.1:1/o" }, Now: func() time.Time { return time.Unix(1e9, 0) }}
	s, err := dir.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "local/in/a", "content")
	before, err := s.SignGet(t.Context(), "local/in/a", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	left := filepath.Join(path, "tmp", "unfinished")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = dir.Open(c); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unfinished put is still there: %v", err)
	}
	if info, err := s.Stat(t.Context(), "local/in/a"); err != nil || info.Size != 7 {
		t.Errorf("%+v, %v", info, err)
	}
	if after, err := s.SignGet(t.Context(), "local/in/a", time.Minute); err != nil || after.URL != before.URL {
		t.Errorf("signed with another key: %v", err)
	}
}

func TestPutLeavesNoTemporaryFiles(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := open(t, dir.Config{Path: path})
	put(t, s, "a", "x")
	s.Put(t.Context(), "a", strings.NewReader("y"), objstore.PutOptions{Size: 1, IfAbsent: true})
	s.Put(t.Context(), "b", strings.NewReader("short"), objstore.PutOptions{Size: 100})
	if left, err := os.ReadDir(filepath.Join(path, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A file that lost its end, or a bit, is an error: never a shorter object.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := open(t, dir.Config{Path: path})
	put(t, s, "d/a", strings.Repeat("x", 1000))
	file := filepath.Join(path, "obj", "d", "a@")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(whole)-200] ^= 1
	for name, b := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)-1], "only its trailer": whole[1000:], "flipped bit": flipped, "longer": append([]byte("y"), whole...)} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Stat(t.Context(), "d/a")
		if err == nil || errors.Is(err, objstore.ErrNotFound) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Deleting prunes empty folders while puts make them: no put may fail or be lost.
func TestDeleteWhilePutting(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := open(t, dir.Config{Path: path})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				key := fmt.Sprintf("t/%d/%d-%d", i%2, w, i)
				if _, err := s.Put(t.Context(), key, strings.NewReader("x"), objstore.PutOptions{Size: 1}); err != nil {
					t.Error(err)
				}
				if _, err := s.Stat(t.Context(), key); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if left, err := os.ReadDir(filepath.Join(path, "obj")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestSignNeedsBaseURL(t *testing.T) {
	t.Parallel()
	var base atomic.Value
	base.Store("")
	s, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return base.Load().(string) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.SignGet(t.Context(), "a", 0); err == nil {
		t.Error("signed without an address")
	}
	base.Store("https://pe.example/v1/objects/")
	r, err := s.SignGet(t.Context(), "a/b", 0)
	if err != nil || !strings.HasPrefix(r.URL, "https://pe.example/v1/objects/a/b?") {
		t.Errorf("%s, %v", r.URL, err)
	}
}

// What a job made is hostile to the browser that opens it.
func TestServedAsHostile(t *testing.T) {
	t.Parallel()
	s := open(t, dir.Config{Path: t.TempDir()})
	_, err := s.Put(t.Context(), "page", strings.NewReader("<script>"), objstore.PutOptions{Size: 8, ContentType: "text/html"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.SignGet(t.Context(), "page", 0)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment",
		"Content-Security-Policy": "sandbox; default-src 'none'", "Content-Type": "text/html",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	req, err := http.NewRequest(http.MethodDelete, r.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err = http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("delete: %v, %v", res, err)
	}
	res.Body.Close()
}

// The clock is ours here, so expiry is judged to the second.
func TestExpiryToTheSecond(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(1e9)
	s := open(t, dir.Config{Path: t.TempDir(), Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	put(t, s, "a", "x")
	r, err := s.SignGet(t.Context(), "a", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[int64]int{0: 200, 9: 200, 10: 403, 1000: 403} {
		now.Store(1e9 + after)
		res, err := http.Get(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("after %d s: %d, want %d", after, res.StatusCode, want)
		}
	}
}
