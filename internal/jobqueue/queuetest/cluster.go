package queuetest

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/program-explorer/pe/internal/jobqueue"
)

// nodes of a cluster: the fewest that outlive one of them.
const nodes = 3

// Cluster is three NATS servers that keep three copies of everything, on
// loopback ports. The last one and the others reach each other only through wires that a test can cut.
type Cluster struct {
	Nodes [nodes]*Server
	wires []*wire
}

// StartCluster runs three servers until the test ends.
func StartCluster(t testing.TB, executors ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	host := loopback()
	var routes [nodes]string
	for i := range routes {
		routes[i] = freeAddress(t, host)
	}
	for i := range c.Nodes {
		o := options(t, executors)
		o.ServerName, o.Host, o.Port = fmt.Sprintf("n%d", i), host, port(t, freeAddress(t, host))
		// Not advertised: nodes know no other way to each other than the routes.
		o.Cluster = server.ClusterOpts{Name: "test", Host: host, Port: port(t, routes[i]), NoAdvertise: true, PoolSize: -1}
		for j, route := range routes {
			if j != i {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: c.way(t, i, j, route)})
			}
		}
		c.Nodes[i] = &Server{options: o}
		c.Nodes[i].launch(t)
	}
	t.Cleanup(func() {
		for _, s := range c.Nodes {
			s.stop()
		}
	})
	eventually(t, "the cluster has a leader", func() bool { return c.Nodes[0].JetStreamIsCurrent() && c.leads() })
	return c
}

// way is the address at which node i reaches node j.
func (c *Cluster) way(t testing.TB, i, j int, route string) string {
	if max(i, j) < nodes-1 {
		return route
	}
	w := newWire(t, route)
	c.wires = append(c.wires, w)
	return w.address
}

func (c *Cluster) leads() bool {
	for _, s := range c.Nodes {
		if s.JetStreamIsLeader() {
			return true
		}
	}
	return false
}

// URL names all nodes.
func (c *Cluster) URL() string {
	var all []string
	for _, s := range c.Nodes {
		all = append(all, s.ClientURL())
	}
	return strings.Join(all, ",")
}

// Cut separates the last node from the others, Mend joins it again.
func (c *Cluster) Cut() {
	for _, w := range c.wires {
		w.cut()
	}
}

// Mend ends what Cut did.
func (c *Cluster) Mend() {
	for _, w := range c.wires {
		w.mend()
	}
}

// Leader is the number of the node that leads a stream, or -1.
func (c *Cluster) Leader(stream string) int {
	for i, s := range c.Nodes {
		if s.Running() && s.JetStreamIsStreamLeader("$G", stream) {
			return i
		}
	}
	return -1
}

// AnswersDirect says whether a node answers direct gets of a stream by itself: it
// begins some time after it has got a copy.
func (c *Cluster) AnswersDirect(t testing.TB, i int, stream string) bool {
	t.Helper()
	subs, err := c.Nodes[i].Subsz(&server.SubszOptions{Subscriptions: true, Account: "$G"})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(subs.Subs, func(s server.SubDetail) bool { return s.Subject == "$JS.API.DIRECT.GET."+stream+".>" })
}

// StepDown has another node lead a stream.
func (c *Cluster) StepDown(t testing.TB, stream string) {
	t.Helper()
	for _, s := range c.Nodes {
		if s.Running() && s.JetStreamIsStreamLeader("$G", stream) {
			if err := s.JetStreamStepdownStream("$G", stream); err != nil {
				t.Logf("step down: %v", err) // it had stepped down already
			}
			return
		}
	}
}

// Stop ends a node as its end would be; Start brings it back with its files.
func (c *Cluster) Stop(i int) { c.Nodes[i].stop() }

// Start starts a node that was stopped.
func (c *Cluster) Start(t testing.TB, i int) { c.Nodes[i].launch(t) }

// Gateway returns a gateway's connection to any node, with streams and buckets
// of three replicas made.
func (c *Cluster) Gateway(t testing.TB, log *slog.Logger) *jobqueue.Queue {
	t.Helper()
	q := connect(t, c.gateway(c.URL(), log))
	eventually(t, "the streams are made", func() bool {
		return q.EnsureStreams(t.Context()) == nil
	})
	return q
}

// GatewayAt returns a gateway's connection to one node alone.
func (c *Cluster) GatewayAt(t testing.TB, i int) *jobqueue.Queue {
	t.Helper()
	return connect(t, c.gateway(c.Nodes[i].ClientURL(), nil))
}

// GatewayFirstAt returns one that connects to a node and knows the others.
func (c *Cluster) GatewayFirstAt(t testing.TB, i int) *jobqueue.Queue {
	t.Helper()
	var q *jobqueue.Queue
	eventually(t, "it is connected there", func() bool { // it takes them in any order
		if q = connect(t, c.gateway(c.URL(), nil)); q.ServerURL() != c.Nodes[i].ClientURL() {
			q.Close()
			return false
		}
		return true
	})
	return q
}

func (c *Cluster) gateway(address string, log *slog.Logger) jobqueue.Config {
	return jobqueue.Config{URL: address, User: gatewayUser, Password: password, Name: gatewayUser, Replicas: nodes, Synced: true, Log: log}
}

// Executor returns the connection of an executor that was named to [StartCluster].
func (c *Cluster) Executor(t testing.TB, id string, log *slog.Logger) *jobqueue.Queue {
	t.Helper()
	return connect(t, jobqueue.Config{URL: c.URL(), User: id, Password: password, Name: id, Executor: id, Log: log})
}

// loopback is an address of this machine alone. Where there are many of them it is
// one that nobody else uses: a port that was free a moment ago still is.
func loopback() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.N(254), rand.N(256), 1+rand.N(254))
}

func freeAddress(t testing.TB, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func port(t testing.TB, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

// eventually waits for what nothing tells of.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
