package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore/s3test"
)

// natsServer is the real one, in the version that is embedded elsewhere.
const natsServer = "github.com/nats-io/nats-server/v2"

// password is of every user of the test's NATS server.
const password = "e2e-password"

// nats is a NATS server as a process of its own, with a user for gateways and
// one for each executor, who may do what an executor needs and no more.
type nats struct {
	*daemon
	address string
}

// startNATS runs one; port 0 takes a free one.
func startNATS(t *testing.T, port int, executors ...string) nats {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(config, []byte(natsConfig(dir, port, executors)), 0o600); err != nil {
		t.Fatal(err)
	}
	n := nats{daemon: served(t, "nats-server", "-c", config)}
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
	return n
}

func natsConfig(dir string, port int, executors []string) string {
	if port == 0 {
		port = -1
	}
	text := fmt.Sprintf("server_name: e2e\nhost: 127.0.0.1\nport: %d\nports_file_dir: %q\njetstream { store_dir: %q, sync_interval: always }\n",
		port, dir, filepath.Join(dir, "store"))
	text += fmt.Sprintf("authorization { users = [\n  { user: gateway, password: %q }\n", password)
	for _, id := range executors {
		p := jobqueue.ExecutorPermissions(id)
		text += fmt.Sprintf("  { user: %q, password: %q, permissions: { publish: { allow: %s }, subscribe: { allow: %s }, allow_responses: { max: 1, expires: \"1m\" } } }\n",
			id, password, list(p.Publish), list(p.Subscribe))
	}
	return text + "] }\n"
}

// list is how NATS's configuration writes one of strings.
func list(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// as is the server's address with a user's credentials.
func (n nats) as(user string) string {
	return (&url.URL{Scheme: "nats", User: url.UserPassword(user, password), Host: n.address}).String()
}

// s3Args are the flags of ped for an S3 server.
func s3Args(s s3test.Server, endpoint string) []string {
	return []string{"--s3-endpoint", endpoint, "--s3-bucket", s.Bucket, "--s3-access-key", s.AccessKey, "--s3-secret-key", s.SecretKey}
}
