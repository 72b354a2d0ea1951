package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// Config is what the API works with.
type Config struct {
	// Jobs keeps the jobs. Required.
	Jobs Coordinator
	// Store keeps inputs, specifications, results and outputs. Required.
	Store objstore.Store
	// Resolve turns an image's name into a digest. Required.
	Resolve Resolve
	// Inputs are the rules for inputs that expire. Default: they never do.
	Inputs Inputs
	// Sweeper sweeps when an operator asks for it. Default: nobody may ask.
	Sweeper Sweeper
	// Images lists the names of the catalog. Default: there are none.
	Images func(context.Context) (schemas.ImageList, error)
	// Webhooks tells of ends of jobs. Default: nobody is told.
	Webhooks Webhooks
	// Campaigns are jobs that belong together and end together. Default: there are none.
	Campaigns Campaigns
	// Tokens may use the API. While there are none (the default), every request
	// from this machine's own programs may, and foreign pages in its browsers are kept out.
	Tokens *access.Tokens
	// Limits are how often requests are let in, while there are tokens. Default: there are none.
	Limits *access.Limits
	// Proxies are believed what they say of where a request came from. Default: nobody is.
	Proxies access.Proxies
	// Objects serves the store's signed URLs; nil if the store does so itself. It
	// is given all requests below /v1/objects/, with their path as it is.
	Objects http.Handler
	// Checks are asked by /readyz beside coordinator and store, by name: nil error means
	// ready, and of the others a [Reason] is shown.
	Checks map[string]func(context.Context) error
	// Log takes requests at debug and internal errors. Default: discard.
	Log *slog.Logger
	// Metrics is the registry that /metrics shows and that this package adds to. Default: one of its own.
	Metrics *prometheus.Registry
	// Version is what GET / shows.
	Version string

	// MaxBlobBytes bounds an uploaded input. Default and most: objstore.MaxObjectSize (5 GiB).
	MaxBlobBytes int64
	// ResolveTimeout bounds asking a registry. Default 30 s.
	ResolveTimeout time.Duration
	// MaxWait bounds ?wait=; a longer one is cut to it. Default 5 min.
	MaxWait time.Duration
	// StallTimeout is how long a client may take to move the next piece of a
	// body or a stream. Default 30 s.
	StallTimeout time.Duration
	// Heartbeat is how often a silent event stream sends a comment. Default 15 s.
	Heartbeat time.Duration
	// MaxStreams bounds the event streams that one tenant has open here. Default 400.
	MaxStreams int
}

// API serves the routes of package api. It is an http.Handler.
type API struct {
	Config
	metrics  *metrics
	mux      *http.ServeMux
	objects  *jobresult.Reader
	indexes  *indexReader
	flight   singleflight.Group
	document []byte
	streams  *streams
	waits    *streams
	uploads  *streams
	batches  *room
	answers  *room
	skips    chan struct{}
	draining chan struct{}
	drain    sync.Once
}

// documentsKept is how many specifications and results are kept in memory, at most 64 KiB each.
const documentsKept = 512

// New checks the configuration and builds the routes.
func New(c Config) (*API, error) {
	if c.Jobs == nil || c.Store == nil || c.Resolve == nil {
		return nil, errors.New("api: a coordinator, a store and a resolver are required")
	}
	c = c.withDefaults()
	if c.Limits == nil {
		var err error
		if c.Limits, err = access.NewLimits(0, 0); err != nil {
			return nil, err
		}
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("api: register metrics: %w", err)
	}
	objects := jobresult.New(c.Store, documentsKept)
	a := &API{
		Config: c, metrics: m, mux: http.NewServeMux(), objects: objects, indexes: newIndexReader(objects),
		streams: newStreams(c.MaxStreams, tooManyStreams), waits: newStreams(maxWaits, tooManyStreams), uploads: newStreams(maxUploads, tooManyUploads),
		batches: newBatchRoom(), answers: newAnswerRoom(), skips: make(chan struct{}, skipsAtOnce), draining: make(chan struct{}),
	}
	if a.document, err = openAPIDocument(c.Version); err != nil {
		return nil, err
	}
	a.mount()
	if c.Objects != nil {
		a.mux.Handle(objectsPrefix, a.signedObjects(c.Objects))
	}
	return a, nil
}

// mount gives every route to the mux.
func (a *API) mount() {
	verbs := map[string]map[string]route{} // by pattern without the verb
	for _, rt := range a.routes() {
		if resource, verb, ok := strings.Cut(rt.pattern, "}:"); ok {
			at := rt.method + " " + resource + "}"
			if verbs[at] == nil {
				verbs[at] = map[string]route{}
			}
			verbs[at][verb] = rt
			continue
		}
		a.mux.HandleFunc(rt.method+" "+rt.pattern, func(w http.ResponseWriter, r *http.Request) { a.exchange(rt, w, r) })
	}
	for at, of := range verbs {
		_, param, _ := strings.Cut(strings.TrimSuffix(at, "}"), "{")
		a.mux.HandleFunc(at, a.byVerb(param, of))
	}
}

// Drain ends long polls and event streams, so that the server can stop: polls
// answer with the job as it is, and a stream's client resumes elsewhere.
func (a *API) Drain() { a.drain.Do(func() { close(a.draining) }) }

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Tokens == nil {
		c.Tokens = access.NewTokens(nil, nil, c.Log)
	}
	if c.Inputs == nil {
		c.Inputs = forever{}
	}
	if c.MaxBlobBytes <= 0 || c.MaxBlobBytes > objstore.MaxObjectSize {
		c.MaxBlobBytes = objstore.MaxObjectSize
	}
	setDefault(&c.ResolveTimeout, 30*time.Second)
	setDefault(&c.MaxWait, 5*time.Minute)
	setDefault(&c.StallTimeout, 30*time.Second)
	setDefault(&c.Heartbeat, 15*time.Second)
	if c.MaxStreams <= 0 {
		c.MaxStreams = 400
	}
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// cleanPath reports whether the mux would take the path as it is. It would
// redirect any other, and escape it a second time doing so.
func cleanPath(escaped string) bool {
	if !strings.HasPrefix(escaped, "/") {
		return false
	}
	return path.Clean(escaped) == escaped || path.Clean(escaped)+"/" == escaped
}

// jobID takes the job's id from the path. A malformed one is simply not there.
func jobID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if !schemas.ValidJobID(id) {
		return "", noJob(id)
	}
	return id, nil
}

func noJob(id string) error {
	return kindNotFound.problem(fmt.Sprintf("there is no job %q", clip(id)), "GET /v1/jobs lists the jobs that there are")
}
