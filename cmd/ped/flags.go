package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/internal/settings"
	"github.com/program-explorer/pe/schemas"
)

// Groups of settings that several commands share. Each bind method declares its
// flags; environment and configuration file know them by the same names.

// logFlags say what is logged, and how.
type logFlags struct{ level, format string }

func (l *logFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&l.level, "log-level", "info", "`LEVEL` from which on to log: debug, info, warn or error")
	f.StringVar(&l.format, "log-format", "text", "`FORMAT` of the log: text or json")
	return f
}

func (l *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, usageError{fmt.Errorf("log-level %q: want debug, info, warn or error", l.level)}
	}
	options := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usageError{fmt.Errorf("log-format %q: want text or json", l.format)}
}

// dataFlags say where this machine keeps its own state.
type dataFlags struct{ dir string }

func (d *dataFlags) bind(environ func(string) string) *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&d.dir, "data-dir", defaultDataDir(environ), "`DIR` for all state; one instance at a time")
	return f
}

func defaultDataDir(environ func(string) string) string {
	if os.Geteuid() == 0 {
		return "/var/lib/program-explorer"
	}
	home := cmp.Or(environ("XDG_DATA_HOME"), filepath.Join(environ("HOME"), ".local", "share"))
	return filepath.Join(home, "program-explorer")
}

// imageFlags say which images there are, how many are kept, and what users may
// name. A command binds the parts that it heeds.
type imageFlags struct {
	catalog       string
	cacheSize     settings.Size
	dockerConfig  string
	allowLoopback bool
	allowPaths    bool
}

func (i *imageFlags) bindSources() *pflag.FlagSet {
	f := i.bindCatalog()
	f.StringVar(&i.dockerConfig, "docker-config", "", "`DIR` of a docker config.json, whose credentials are used for images of the catalog")
	return f
}

func (i *imageFlags) bindCatalog() *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&i.catalog, "catalog", "", "YAML `FILE` of images with short names; the allowlist, if it says only: true")
	return f
}

func (i *imageFlags) bindCache() *pflag.FlagSet {
	f := newGroup()
	i.cacheSize = 20 << 30
	f.Var(&i.cacheSize, "image-cache-size", "`SIZE` of the image cache at most; images used longest ago go first")
	return f
}

// bindUsers is for who takes jobs of others: an operator at a shell may name everything.
func (i *imageFlags) bindUsers() *pflag.FlagSet {
	f := newGroup()
	f.BoolVar(&i.allowLoopback, "allow-loopback-registry", false, "let references name plain-HTTP registries on this machine")
	f.BoolVar(&i.allowPaths, "allow-image-paths", false, "let users name OCI layouts and archives on this machine's disk")
	return f
}

func (i *imageFlags) sources() (imagesync.Sources, error) {
	s := imagesync.Sources{DockerConfig: i.dockerConfig, AllowLoopback: i.allowLoopback, AllowPaths: i.allowPaths}
	if i.catalog == "" {
		return s, nil
	}
	var err error
	s.Catalog, err = imagesync.LoadCatalog(i.catalog)
	return s, err
}

// queueFlags say where the queue is.
type queueFlags struct{ url, creds, nkey string }

func (q *queueFlags) bind(whenEmpty string) *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&q.url, "nats-url", "", "`URL` of the NATS server, or several, separated by commas"+whenEmpty)
	f.StringVar(&q.creds, "nats-creds", "", "`FILE` of NATS credentials")
	f.StringVar(&q.nkey, "nats-nkey-file", "", "`FILE` with the seed of a NATS nkey, instead of credentials (see ped nats key)")
	return f
}

// copyFlags say how many servers of the queue hold a copy of everything: for who makes its streams.
type copyFlags struct{ replicas int }

func (r *copyFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.IntVar(&r.replicas, "nats-replicas", 1, "`N` servers of a NATS cluster keep a copy of everything: 1, 3 or 5; more later changes what is there")
	return f
}

// of adds the number to a connection's configuration.
func (r *copyFlags) of(c jobqueue.Config) (jobqueue.Config, error) {
	if r.replicas != 1 && r.replicas != 3 && r.replicas != 5 {
		return c, usageError{fmt.Errorf("nats-replicas %d: want 1, 3 or 5", r.replicas)}
	}
	c.Replicas = r.replicas
	return c, nil
}

// storeFlags say where objects are kept.
type storeFlags struct{ endpoint, bucket, region, accessKey, secretKey, secretKeyFile string }

func (s *storeFlags) bind(whenEmpty string) *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&s.endpoint, "s3-endpoint", "", "`URL` of an S3 service, http://… or https://…"+whenEmpty)
	f.StringVar(&s.bucket, "s3-bucket", "program-explorer", "`NAME` of the bucket")
	f.StringVar(&s.region, "s3-region", "us-east-1", "`NAME` of the region")
	f.StringVar(&s.accessKey, "s3-access-key", "", "access `KEY`")
	f.StringVar(&s.secretKey, "s3-secret-key", "", "secret `KEY`; other users of this machine can see flags: prefer the file or the environment")
	f.StringVar(&s.secretKeyFile, "s3-secret-key-file", "", "`FILE` with the secret key")
	settings.Secret(f, "s3-secret-key")
	return f
}

// secret is the secret key, wherever it is.
func (s *storeFlags) secret() (string, error) {
	if s.secretKeyFile == "" {
		return s.secretKey, nil
	}
	if s.secretKey != "" {
		return "", usageError{fmt.Errorf("s3-secret-key and s3-secret-key-file are both given")}
	}
	text, err := os.ReadFile(s.secretKeyFile)
	if err != nil {
		return "", fmt.Errorf("read S3 secret key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// defaultListen is the API's address on this machine alone.
const defaultListen = "127.0.0.1:7300"

// listenFlags say where the API is.
type listenFlags struct{ listen string }

func (l *listenFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&l.listen, "listen", defaultListen, "`ADDRESS` of the API; port 0 takes a free one; beyond this machine only with an access token")
	return f
}

// serveFlags say for whom the API is served, and who is told.
type serveFlags struct{ tokenFile, readyFile string }

func (s *serveFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&s.tokenFile, "token-file", "", "`FILE` of access tokens, a line each: sha256:DIGEST or TOKEN, then [TENANT [SCOPE,…]] (see ped token create)")
	f.StringVar(&s.readyFile, "ready-file", "", "`FILE` to write the address into when ready")
	return f
}

// webhookFlags say where ends of jobs may be told.
type webhookFlags struct {
	publicURL   string
	allow, deny []string
}

func (w *webhookFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&w.publicURL, "public-url", "", "`URL` of the API as others know it, for links in webhooks")
	f.StringSliceVar(&w.allow, "webhook-allow-cidr", nil, "`CIDR` range of addresses that webhooks may go to though they are not public, by http too; repeat for more")
	f.StringSliceVar(&w.deny, "webhook-deny-cidr", nil, "`CIDR` range of public addresses that webhooks may not go to; repeat for more")
	return f
}

func (w *webhookFlags) config() (c roles.WebhooksConfig, err error) {
	c.PublicURL = w.publicURL
	if c.Allow, err = ranges("webhook-allow-cidr", w.allow); err != nil {
		return c, err
	}
	c.Deny, err = ranges("webhook-deny-cidr", w.deny)
	return c, err
}

func ranges(flag string, list []string) (all []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s %q: want a range of addresses such as 10.1.0.0/16", flag, text)}
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// guestFlags say what machines boot.
type guestFlags struct{ dir string }

func (g *guestFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.StringVar(&g.dir, "guest-dir", "", "`DIR` of guest bundles (default DATA-DIR/guest)")
	return f
}

// in is the folder of guest bundles.
func (g *guestFlags) in(dataDir string) string {
	return cmp.Or(g.dir, filepath.Join(dataDir, "guest"))
}

// readyFlags say what may be used to have machines ready before their jobs.
type readyFlags struct {
	snapshots, pool settings.Size
	poolMax         int
}

func (r *readyFlags) bind() *pflag.FlagSet {
	f := newGroup()
	r.snapshots, r.pool = 20<<30, settings.Size(defaultPool())
	f.Var(&r.snapshots, "snapshot-disk", "`SIZE` at most of the snapshots that machines are restored from; 0: every machine boots")
	f.Var(&r.pool, "pool-memory", "`SIZE` at most of the machines that wait for jobs, by default an eighth of the memory; 0: none waits")
	f.IntVar(&r.poolMax, "pool-max", 4, "at most `N` machines wait for one image, unless its catalog entry says")
	return f
}

func (r *readyFlags) config() roles.ReadyConfig {
	return roles.ReadyConfig{SnapshotBytes: int64(r.snapshots), PoolBytes: int64(r.pool), PoolMax: r.poolMax}
}

// waysFlags say in which ways jobs are run.
type waysFlags struct{ ways roles.WaysConfig }

func (w *waysFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.StringSliceVar(&w.ways.Isolations, "isolation", []string{schemas.IsolationVM}, "`WAYS` to run jobs: vm, gvisor, container, and noop, which runs nothing; those that do not work here are not offered")
	f.StringVar(&w.ways.Runsc, "runsc", "runsc", "gVisor's runtime: a `FILE`, or a name in PATH")
	f.StringVar(&w.ways.OCIRuntime, "oci-runtime", "runc", "the runtime of containers, runc or crun: a `FILE`, or a name in PATH")
	f.StringSliceVar(&w.ways.ContainerImages, "container-image", nil, "`IMAGE` that may run in containers, which share this machine's kernel: a name of the catalog, a reference or a digest; repeat for more")
	return f
}

// noopFlags say how jobs pretend to run, where they do.
type noopFlags struct {
	noop   noop.Config
	stdout string
}

func (n *noopFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.DurationVar(&n.noop.Start, "noop-start", 0, "with --isolation noop, which runs nothing and is for measuring and for trying failure: the `TIME` that a machine pretends to take to start")
	f.DurationVar(&n.noop.Run, "noop-run", 0, "with --isolation noop: the `TIME` that a job pretends to run, unless its variable "+noop.EnvRun+" says")
	f.StringVar(&n.stdout, "noop-stdout", "", "with --isolation noop: the `TEXT` that a job writes, unless its variable "+noop.EnvStdout+" says")
	f.IntVar(&n.noop.ExitCode, "noop-exit-code", 0, "with --isolation noop: the exit `CODE` that a job ends with, unless its variable "+noop.EnvExit+" says")
	f.BoolVar(&n.noop.Echo, "noop-echo", false, "with --isolation noop: a job's outputs are its inputs")
	return f
}

// in are the ways with it among them.
func (n *noopFlags) in(ways roles.WaysConfig) roles.WaysConfig {
	n.noop.Stdout = []byte(n.stdout)
	ways.Noop = n.noop
	return ways
}

func newGroup() *pflag.FlagSet { return pflag.NewFlagSet("", pflag.ContinueOnError) }
