// Package s3test starts a real S3 server as a process of its own, for tests.
package s3test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Server is a running S3 server. It ends with its test.
type Server struct {
	Name      string // versitygw or minio
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string
	// Bucket is a valid name; the bucket is not made yet.
	Bucket string
}

// Start runs versitygw over a fresh folder. Without its binary the test is
// skipped, or fails when PE_REQUIRE_ALL=1.
func Start(t testing.TB) Server {
	t.Helper()
	bin, err := Find("versitygw")
	if err != nil {
		missing(t, err.Error()+"; install it with: GOBIN=$PE_CACHE/bin go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	}
	return start(t, "versitygw", bin)
}

// StartMinIO runs MinIO where its binary is at hand, and skips the test where it is not.
func StartMinIO(t testing.TB) Server {
	t.Helper()
	bin, err := Find("minio")
	if err != nil {
		t.Skipf("optional second S3 server: %s", err)
	}
	return start(t, "minio", bin)
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PE_REQUIRE_ALL") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Find looks for a tool in $PE_CACHE/bin, in .cache/bin of the repository, and in PATH.
func Find(name string) (string, error) {
	var places []string
	if cache := os.Getenv("PE_CACHE"); cache != "" {
		places = append(places, filepath.Join(cache, "bin"))
	}
	if root := repository(); root != "" {
		places = append(places, filepath.Join(root, ".cache", "bin"))
	}
	for _, dir := range places {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("no %s in %q nor in PATH", name, places)
}

// repository is the folder of go.mod above the test's working folder.
func repository() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

const (
	accessKey = "test-access"
	secretKey = "test-secret-key"
	attempts  = 3 // a port found free may be taken before the server has it
	patience  = 15 * time.Second
)

func start(t testing.TB, name, bin string) Server {
	t.Helper()
	var err error
	for range attempts {
		var s Server
		if s, err = try(t, name, bin); err == nil {
			return s
		}
	}
	t.Fatalf("start %s: %s", name, err)
	return Server{}
}

func try(t testing.TB, name, bin string) (Server, error) {
	addr, err := freeAddress()
	if err != nil {
		return Server{}, err
	}
	cmd := command(name, bin, addr, t.TempDir())
	cmd.Dir = t.TempDir()
	log := logTo(t, name)
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return Server{}, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait(); log.Close() }()
	s := Server{Name: name, Endpoint: "http://" + addr, AccessKey: accessKey, SecretKey: secretKey, Bucket: "pe-test"}
	if err := waitReady(s.Endpoint, exited); err != nil {
		cmd.Process.Kill()
		return Server{}, err
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	return s, nil
}

func command(name, bin, addr, data string) *exec.Cmd {
	if name == "minio" {
		cmd := exec.Command(bin, "server", "--quiet", "--address", addr, data)
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey)
		return cmd
	}
	cmd := exec.Command(bin, "--port", addr, "--quiet", "posix", data)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	return cmd
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// waitReady asks until any HTTP answer comes. There is no event to wait for: it is another process.
func waitReady(endpoint string, exited <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			return nil
		}
		select {
		case err := <-exited:
			return fmt.Errorf("ended by itself: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s", patience)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// logTo hands the server's output to the test's log until the server is gone.
func logTo(t testing.TB, name string) io.WriteCloser {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			t.Logf("%s: %s", name, lines.Text())
		}
		r.Close()
	}()
	t.Cleanup(func() { <-done })
	return w
}
