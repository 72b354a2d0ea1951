package dir_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/internal/objstore/objstoretest"
)

// open gives a store that serves its signed URLs under a prefix, as a gateway does.
func open(t testing.TB, c dir.Config) *dir.Store {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.BaseURL = func() string { return server.URL + "/v1/objects/" }
	s, err := dir.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	mux.Handle("/v1/objects/", http.StripPrefix("/v1/objects", s.Handler()))
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	objstoretest.Run(t, func(t *testing.T) objstore.Store { return open(t, dir.Config{Path: t.TempDir()}) })
}
