package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/objstore/s3test"
)

// natsServer is the real one, in the version that is embedded elsewhere.
const natsServer = "github.com/nats-io/nats-server/v2"

// nats is a NATS server as a process of its own, configured by ped: with a user for
// gateways and one for each executor, who may do what an executor needs and no more.
type nats struct {
	*daemon
	address string
	keys    string // folder of the users' seeds
}

// startNATS runs one; port 0 takes a free one.
func startNATS(t *testing.T, port int, executors ...string) nats {
	t.Helper()
	n := nats{keys: t.TempDir()}
	n.start(t, port, executors...)
	return n
}

func (n *nats) start(t *testing.T, port int, executors ...string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("ports_file_dir: %q\n", dir) + n.config(t, dir, port, executors)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.daemon = served(t, "nats-server", "-c", config)
	file := filepath.Join(dir, fmt.Sprintf("nats-server_%d.ports", n.pid()))
	var ports struct{ NATS []string }
	eventually(t, "nats-server says where it listens", func() bool {
		text, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(text, &ports) != nil {
			if err, ended := n.ended(); ended {
				t.Fatalf("nats-server: %v\n%s", err, n.log)
			}
			return false
		}
		return len(ports.NATS) > 0
	})
	n.address = strings.TrimPrefix(ports.NATS[0], "nats://")
}

func (n *nats) config(t *testing.T, dir string, port int, executors []string) string {
	t.Helper()
	if port == 0 {
		port = -1
	}
	args := []string{"nats", "config", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--store-dir", filepath.Join(dir, "store"),
		"--gateway", "main=" + n.key(t, "gateway")}
	for _, id := range executors {
		args = append(args, "--executor", id+"="+n.key(t, id))
	}
	return ped(t, args...)
}

// key is the public key of a user, who gets one if he has none.
func (n *nats) key(t *testing.T, user string) string {
	t.Helper()
	return strings.TrimSpace(ped(t, "nats", "key", n.seed(user)))
}

func (n *nats) seed(user string) string { return filepath.Join(n.keys, user+".nk") }

// as are the flags of ped for a user of the server.
func (n *nats) as(user string) []string {
	return []string{"--nats-url", "nats://" + n.address, "--nats-nkey-file", n.seed(user)}
}

// ped runs a command of ped that ends by itself, and returns what it prints.
func ped(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "ped"), args...)
	cmd.Env = environment()
	return runCommand(t, cmd).want(t, 0).stdout
}

// s3Args are the flags of ped for an S3 server.
func s3Args(s s3test.Server, endpoint string) []string {
	return []string{"--s3-endpoint", endpoint, "--s3-bucket", s.Bucket, "--s3-access-key", s.AccessKey, "--s3-secret-key", s.SecretKey}
}
