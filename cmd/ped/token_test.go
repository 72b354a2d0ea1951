package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

// natsServer listens on loopback, as the commands reach one.
func natsServer(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(natsPatience) {
		t.Fatal("NATS server is not ready")
	}
	return s.ClientURL()
}

// jobless is a coordinator that is asked nothing.
type jobless struct{ api.Coordinator }

// apiServer is a gateway's API with the tokens of the queue.
func apiServer(t *testing.T, queue string) string {
	t.Helper()
	q, err := jobqueue.Connect(t.Context(), jobqueue.Config{URL: queue})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	tokens := access.NewTokens(nil, q.Tokens, nil)
	if err := tokens.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler, err := api.New(api.Config{Jobs: jobless{}, Store: store, Tokens: tokens,
		Resolve: func(context.Context, string) (api.ResolvedImage, error) { return api.ResolvedImage{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// ped runs the command, and must succeed.
func ped(t *testing.T, environ []string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, environ, &out, &errs); code != exitOK {
		t.Fatalf("ped %s: %s", strings.Join(args, " "), errs.String())
	}
	return strings.TrimSpace(out.String()), errs.String()
}

// The first token of gateways comes from the queue itself, all others from a gateway.
func TestTokenCommands(t *testing.T) {
	t.Parallel()
	queue := natsServer(t)
	first, _ := ped(t, nil, "token", "create", "--nats-url", queue, "--tenant", "*", "--scope", "admin")
	environ := []string{"PE_SERVER=" + apiServer(t, queue), "PE_TOKEN=" + first}
	secret, said := ped(t, environ, "token", "create", "--tenant", "alice", "--scope", "submit", "--expires", "30d", "--name", "laptop")
	if !strings.HasPrefix(secret, "pe_") || !strings.Contains(said, "of tenant alice: submit; it expires on") || strings.Contains(said, "first token") {
		t.Errorf("printed %q, said %q", secret, said)
	}
	listed := func(args ...string) (list []schemas.AccessToken) {
		text, _ := ped(t, environ, append([]string{"token", "list", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := listed(); len(list) != 2 || list[0].Name != "laptop" || list[0].Creator != list[1].ID || list[0].ExpiresUS-list[0].CreatedUS != 30*24*3600*1e6 {
		t.Errorf("listed %+v", list)
	}
	if table, _ := ped(t, environ, "token", "list", "--tenant", "alice"); strings.Count(table, "\n") != 1 || !strings.Contains(table, "alice   submit  active") {
		t.Errorf("listed\n%s", table)
	}
	ped(t, environ, "token", "revoke", secret)
	if list := listed("--tenant", "alice"); len(list) != 0 {
		t.Errorf("after it was revoked: %+v", list)
	}
	if list := listed("--all"); len(list) != 2 || list[0].RevokedUS == 0 {
		t.Errorf("with those that ended: %+v", list)
	}
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"token", "revoke", first}, environ, &errs, &errs); code != exitFailed || !strings.Contains(errs.String(), "the last access token") {
		t.Errorf("the last one: %d, %s", code, errs.String())
	}
}
