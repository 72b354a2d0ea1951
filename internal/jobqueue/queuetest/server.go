// Package queuetest runs a real NATS server for tests: with JetStream in
// files, syncing every write, in this process and without a socket.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/program-explorer/pe/internal/jobqueue"
)

const (
	gatewayUser = "gateway"
	password    = "test"
)

// Server is a NATS server with one user for gateways, who has
// [jobqueue.GatewayPermissions], and one for each executor, who has
// [jobqueue.ExecutorPermissions].
type Server struct {
	*server.Server
	options *server.Options
}

// Start runs a server until the test ends.
func Start(t testing.TB, executors ...string) *Server {
	t.Helper()
	o := options(t, executors)
	o.DontListen = true
	s := &Server{options: o}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func options(t testing.TB, executors []string) *server.Options {
	o := &server.Options{
		JetStream:  true,
		StoreDir:   t.TempDir(),
		SyncAlways: true,
		NoSigs:     true,
		NoLog:      true,
		Users:      []*server.User{{Username: gatewayUser, Password: password, Permissions: permissions(jobqueue.GatewayPermissions())}},
	}
	for _, id := range executors {
		o.Users = append(o.Users, &server.User{Username: id, Password: password, Permissions: permissions(jobqueue.ExecutorPermissions(id))})
	}
	return o
}

func permissions(p jobqueue.Permissions) *server.Permissions {
	all := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}
	if p.Responses {
		all.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	}
	return all
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	s.launch(t)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS server is not ready")
	}
}

// launch does not wait until it is ready: one of a cluster needs the others for that.
func (s *Server) launch(t testing.TB) {
	t.Helper()
	var err error
	if s.Server, err = server.NewServer(s.options.Clone()); err != nil {
		t.Fatalf("make NATS server: %v", err)
	}
	s.Server.Start()
}

func (s *Server) stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

// Restart ends the server and starts it again on the same files.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Outage(t, func() {})
}

// Outage calls during while the server is away.
func (s *Server) Outage(t testing.TB, during func()) {
	t.Helper()
	s.stop()
	during()
	s.start(t)
}

// Crash starts the server again on its files as they are at one moment: as if it
// had been killed, it has not written down what it does when it is stopped.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	files := ""
	for before := ""; before == "" || before != s.listing(t); { // it tidies up by itself
		files, before = t.TempDir(), s.listing(t)
		if err := os.CopyFS(files, os.DirFS(s.options.StoreDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	s.Outage(t, func() { s.options.StoreDir = files })
}

// listing says what files there are, how long, and since when as they are.
func (s *Server) listing(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(s.options.StoreDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&all, path, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all.String()
}

// Gateway returns a gateway's connection, with streams and buckets made.
func (s *Server) Gateway(t testing.TB, log *slog.Logger) *jobqueue.Queue {
	t.Helper()
	return s.AgingGateway(t, 0, log)
}

// AgingGateway is [Server.Gateway] with an age for the entries of the cache; 0 for the default.
func (s *Server) AgingGateway(t testing.TB, cache time.Duration, log *slog.Logger) *jobqueue.Queue {
	t.Helper()
	q := connect(t, jobqueue.Config{Server: s, User: gatewayUser, Password: password, Name: gatewayUser, Synced: true, CacheAge: cache, Log: log})
	if err := q.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return q
}

// Executor returns the connection of an executor that was named to [Start].
func (s *Server) Executor(t testing.TB, id string, log *slog.Logger) *jobqueue.Queue {
	t.Helper()
	return connect(t, jobqueue.Config{Server: s, User: id, Password: password, Name: id, Executor: id, Log: log})
}

func connect(t testing.TB, cfg jobqueue.Config) *jobqueue.Queue {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	q, err := jobqueue.Connect(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}
