package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/natstap"
	"github.com/program-explorer/pe/e2e/chaos/s3tap"
	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore/s3"
	"github.com/program-explorer/pe/internal/objstore/s3test"
)

const (
	password  = "chaos-password" // of every user of NATS
	accessKey = "chaos-access"
	secretKey = "chaos-secret-key"
	bucket    = "chaos"
)

// operator is the token of whoever runs the system.
const operator = "token-of-the-operator"

// tenants and their tokens.
var tenants = map[string]string{"ant": "token-of-the-ant-0", "bee": "token-of-the-bee-0", "cat": "token-of-the-cat-0"}

// system is NATS, S3, gateways and executors as processes of their own, with a tap
// between each of the last two and NATS, and one before S3.
type system struct {
	dir       string
	nats, s3  *process
	gateways  []*process
	executors []*process
	taps      map[string]*natstap.Tap // by the name of the process
	store     *s3tap.Tap
	urls      []string // of the gateways
	disks     []*disk
	natsAddr  string
	s3Addr    string
	// real are the executors whose machines are real.
	real map[string]way
}

// all processes, in the order of their start.
func (s *system) all() []*process {
	return append(append([]*process{s.nats, s.s3}, s.gateways...), s.executors...)
}

// has says whether any executor has machines of that kind.
func (s *system) has(component string) bool {
	for _, w := range s.real {
		if w.struck() == component {
			return true
		}
	}
	return false
}

func (s *system) named(name string) *process {
	for _, p := range s.all() {
		if p.name == name {
			return p
		}
	}
	return nil
}

// judges are asked what becomes of what passes the taps.
type judges struct {
	nats func(process string, executor bool) natstap.Judge
	s3   s3tap.Judge
}

// setup is what a system consists of.
type setup struct {
	gateways int
	noops    int
	// ways are the real executors.
	ways map[string]way
}

// startSystem brings it up in a folder and returns when gateways are ready.
func startSystem(ctx context.Context, dir string, u setup, j judges) (s *system, err error) {
	s = &system{dir: dir, taps: map[string]*natstap.Tap{}, real: u.ways}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	ids := []string{}
	for i := range u.noops {
		ids = append(ids, "noop-"+strconv.Itoa(i+1))
	}
	ids = append(ids, slices.Sorted(maps.Keys(u.ways))...)
	if err := s.startServers(ctx, ids, j); err != nil {
		return s, err
	}
	for i := range u.gateways {
		if err := s.addGateway("gateway-"+strconv.Itoa(i+1), j); err != nil {
			return s, err
		}
	}
	for _, url := range s.urls {
		if err := answers(ctx, url+"/readyz"); err != nil {
			return s, err
		}
	}
	for _, id := range ids {
		w, real := u.ways[id]
		if !real {
			w = way{flags: []string{"--isolation", "noop", "--noop-echo", "--slots", "6"}, disk: 512 << 20}
		}
		if err := s.addExecutor(id, w, j); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *system) startServers(ctx context.Context, executors []string, j judges) error {
	var err error
	if s.natsAddr, err = hosttest.FreeAddress(); err != nil {
		return err
	}
	if s.s3Addr, err = hosttest.FreeAddress(); err != nil {
		return err
	}
	config := filepath.Join(s.dir, "nats.conf")
	if err := os.WriteFile(config, []byte(natsConfig(s.natsAddr, filepath.Join(s.dir, "nats"), executors)), 0o600); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "s3")
	natsDisk, err := newDisk(filepath.Join(s.dir, "nats"), 512<<20)
	if err != nil {
		return err
	}
	s.disks = append(s.disks, natsDisk)
	s3Disk, err := newDisk(data, 2<<30)
	if err != nil {
		return err
	}
	s.disks = append(s.disks, s3Disk)
	s.nats = s.process("nats", commands.Path("nats-server"), nil, "-c", config)
	gateway, err := s3test.Find("versitygw")
	if err != nil {
		return err
	}
	s.s3 = s.process("s3", gateway, []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey}, "--port", s.s3Addr, "--quiet", "posix", data)
	s.nats.disk, s.s3.disk = natsDisk, s3Disk
	for _, p := range []*process{s.nats, s.s3} {
		if err := p.start(); err != nil {
			return err
		}
	}
	if err := errors.Join(listens(ctx, s.natsAddr), answers(ctx, "http://"+s.s3Addr)); err != nil {
		return err
	}
	s.store, err = s3tap.Start(s.s3Addr, j.s3)
	return err
}

func (s *system) addGateway(name string, j judges) error {
	address, err := hosttest.FreeAddress()
	if err != nil {
		return err
	}
	queue, err := s.tapped(name, "gateway", false, j)
	if err != nil {
		return err
	}
	p := s.process(name, commands.Path("ped"), nil, "gateway", "--listen", address, "--nats-url", queue,
		"--s3-endpoint", "http://"+s.store.Addr(), "--s3-bucket", bucket, "--s3-access-key", accessKey, "--s3-secret-key", secretKey,
		"--token-file", tokenFile(), "--catalog", catalogFile(), "--log-format", "json")
	if callbacks {
		p.args = append(p.args, "--webhook-allow-cidr", "127.0.0.0/8")
	}
	s.gateways, s.urls = append(s.gateways, p), append(s.urls, "http://"+address)
	return p.start()
}

func (s *system) addExecutor(id string, w way, j judges) error {
	queue, err := s.tapped(id, id, true, j)
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, id)
	disk, err := newDisk(data, w.disk)
	if err != nil {
		return err
	}
	s.disks = append(s.disks, disk)
	args := append([]string{"executor", "--executor-id", id, "--nats-url", queue, "--data-dir", data, "--catalog", catalogFile(), "--log-format", "json"}, w.flags...)
	p := s.process(id, commands.Path("ped"), nil, args...)
	p.disk = disk
	s.executors = append(s.executors, p)
	return p.start()
}

// tapped is NATS's address for one process.
func (s *system) tapped(name, user string, executor bool, j judges) (string, error) {
	tap, err := natstap.Start(s.natsAddr, j.nats(name, executor))
	if err != nil {
		return "", err
	}
	s.taps[name] = tap
	return (&url.URL{Scheme: "nats", User: url.UserPassword(user, password), Host: tap.Addr()}).String(), nil
}

func (s *system) process(name, path string, env []string, args ...string) *process {
	base := []string{"TMPDIR=" + temporary(), "HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}
	return &process{name: name, path: path, args: args, env: append(base, env...), log: filepath.Join(s.dir, name+".log")}
}

// queue is a gateway's connection of the test's own, past all taps.
func (s *system) queue(ctx context.Context) (*jobqueue.Queue, error) {
	return jobqueue.Connect(ctx, jobqueue.Config{URL: "nats://" + s.natsAddr, User: "gateway", Password: password, Name: "chaos", Synced: true})
}

// objects is the store, past its tap.
func (s *system) objects(ctx context.Context) (*s3.Store, error) {
	return s3.Open(ctx, s3.Config{Endpoint: "http://" + s.s3Addr, Bucket: bucket, AccessKey: accessKey, SecretKey: secretKey})
}

// close ends everything: executors first, so that what they report is heard.
func (s *system) close() error {
	var errs []error
	for _, group := range [][]*process{s.executors, s.gateways, {s.nats, s.s3}} {
		for _, p := range group {
			if p != nil && p.cmd != nil && p.alive() {
				errs = append(errs, p.stop())
			}
		}
	}
	for _, d := range s.disks {
		errs = append(errs, d.close())
	}
	s.disks = nil
	for _, tap := range s.taps {
		tap.Close()
	}
	if s.store != nil {
		s.store.Close()
	}
	return errors.Join(errs...)
}

func natsConfig(address, dir string, executors []string) string {
	text := fmt.Sprintf("server_name: chaos\nlisten: %q\njetstream { store_dir: %q, max_file_store: 8GB, sync_interval: always }\nauthorization { users = [\n  { user: gateway, password: %q }\n", address, dir, password)
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

// answers waits for a good answer to a request, or any for an address without a path.
func answers(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	return await(ctx, address+" answers", func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return u.Path == "" || resp.StatusCode == http.StatusOK
	})
}

func listens(ctx context.Context, address string) error {
	return await(ctx, address+" listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// await polls, because what it waits for happens in another process.
func await(ctx context.Context, what string, holds func() bool) error {
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s", patience, what)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
