package natsconf_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/natsconf"
	"github.com/program-explorer/pe/schemas"
)

// system is a real server that was started with a written configuration.
type system struct {
	url, dir string
}

func start(t *testing.T, executors ...string) system {
	t.Helper()
	s := system{dir: t.TempDir()}
	c := natsconf.Config{Listen: "127.0.0.1:-1", StoreDir: filepath.Join(s.dir, "store"), Gateways: []natsconf.User{{Name: "main", Key: key(t, s.seed("main"))}}}
	for _, id := range executors {
		c.Executors = append(c.Executors, natsconf.User{Name: id, Key: key(t, s.seed(id))})
	}
	path := filepath.Join(s.dir, "nats-server.conf")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(natsconf.Write(file, c), file.Close()); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o.NoSigs, o.NoLog = true, true
	n, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	t.Cleanup(func() { n.Shutdown(); n.WaitForShutdown() })
	if !n.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS server is not ready")
	}
	s.url = n.ClientURL()
	return s
}

func (s system) seed(user string) string { return filepath.Join(s.dir, user+".nk") }

func (s system) connect(t *testing.T, c jobqueue.Config) *jobqueue.Queue {
	t.Helper()
	c.URL = s.url
	q, err := jobqueue.Connect(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// gateway is a gateway's connection, with streams and buckets made.
func (s system) gateway(t *testing.T, log *slog.Logger) *jobqueue.Queue {
	t.Helper()
	q := s.connect(t, jobqueue.Config{NKeyFile: s.seed("main"), Log: log})
	if err := q.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return q
}

// TestNobodyWithoutKey: there is no user but those who were named.
func TestNobodyWithoutKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	stranger := filepath.Join(s.dir, "stranger.nk")
	key(t, stranger)
	strange, err := nats.NkeyOptionFromSeed(stranger)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string][]nats.Option{"no key": nil, "an unknown key": {strange}, "a password": {nats.UserInfo("main", "main")}} {
		if nc, err := nats.Connect(s.url, o...); err == nil {
			nc.Close()
			t.Errorf("whoever has %s is let in", name)
		} else if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAskedWhetherItSyncs: a gateway gets its answer from such a server, so it warns of nothing.
func TestAskedWhetherItSyncs(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	start(t).gateway(t, slog.New(slog.NewTextHandler(&log, nil)))
	if strings.Contains(log.String(), "sync") {
		t.Errorf("the gateway says:\n%s", log.String())
	}
}

// TestConversation: gateway and executor reach each other with what they may.
func TestConversation(t *testing.T) {
	t.Parallel()
	s := start(t, "cellar")
	gateway := s.gateway(t, nil)
	executor := s.connect(t, jobqueue.Config{NKeyFile: s.seed("cellar"), Executor: "cellar"})
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	serving.Go(func() {
		_ = gateway.Serve(ctx, schemas.VerbHello, true, func(_ context.Context, who string, _ []byte) (any, error) { return who, nil })
	})
	serving.Go(func() {
		_ = executor.ServeCommands(ctx, func(_ context.Context, verb string, _ []byte) (any, error) { return verb, nil })
	})
	var who, verb string
	for executor.Ask(ctx, schemas.VerbHello, struct{}{}, &who) != nil {
		time.Sleep(time.Millisecond) // until it listens
	}
	for gateway.Command(ctx, "cellar", schemas.CommandStop, struct{}{}, &verb) != nil {
		time.Sleep(time.Millisecond)
	}
	if who != "cellar" || verb != schemas.CommandStop {
		t.Errorf("the gateway heard %q, the executor %q", who, verb)
	}
}

// TestExecutorIsRefused: what a machine's owner might try with its key.
func TestExecutorIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "cellar", "attic")
	s.gateway(t, nil)
	refused := make(chan string, 100)
	seed, err := nats.NkeyOptionFromSeed(s.seed("cellar"))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.url, seed, nats.CustomInboxPrefix("_EXECUTOR.cellar"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err.Error() }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, subject := range []string{
		"$JS.API.STREAM.MSG.GET.KV_jobs",    // read a bucket
		"$JS.API.CONSUMER.CREATE.KV_tokens", // watch one
		"$KV.tokens.x",                      // write into one
		"$JS.API.STREAM.DELETE.JOBS",
		"$JS.API.STREAM.PURGE.REPORTS",
		"$JS.API.STREAM.CREATE.MINE",
		"$JS.API.CONSUMER.DELETE.JOBS.any",
		"evt.attic.j.1.result", // report for another
		"ctl.claim.attic",
		"cmd.attic.stop",
		"$SYS.REQ.SERVER.PING.JSZ",
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, refused, "publish", subject)
	}
	for _, subject := range []string{">", "$KV.>", "cmd.attic.*", "_INBOX.>", "_EXECUTOR.attic.>", "live.>"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, refused, "subscription", subject)
	}
}

func wantRefused(t *testing.T, refused <-chan string, verb, subject string) {
	t.Helper()
	select {
	case got := <-refused:
		got = strings.ToLower(got)
		if !strings.Contains(got, "permissions violation") || !strings.Contains(got, verb) || !strings.Contains(got, `"`+strings.ToLower(subject)+`"`) {
			t.Errorf("%s of %s: %s", verb, subject, got)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s of %s was not refused", verb, subject)
	}
}

// TestNoKeyInFile: there is nothing to wait for, so connecting fails at once.
func TestNoKeyInFile(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.nk")
	_, err := jobqueue.Connect(t.Context(), jobqueue.Config{URL: "nats://127.0.0.1:1", NKeyFile: missing})
	if err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("Connect = %v", err)
	}
}
