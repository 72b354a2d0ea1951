package onebox

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsReady bounds the wait for the embedded server, whose start replays its streams.
const natsReady = 60 * time.Second

// embedded is a NATS server inside this process, reachable by nobody else: it
// opens no port. Every write is synced before it is acknowledged.
type embedded struct {
	dir string
	log *slog.Logger
	// full is told when the server could not write because its disk had no room.
	full chan struct{}
	// waits: it could not write, and has not been started anew since.
	waits atomic.Bool

	mu      sync.Mutex
	current *server.Server
}

// startNATS runs one over a folder.
func startNATS(dir string, log *slog.Logger) (*embedded, error) {
	e := &embedded{dir: filepath.Join(dir, "nats"), log: log, full: make(chan struct{}, 1)}
	return e, e.start()
}

func (e *embedded) start() error {
	s, err := server.NewServer(&server.Options{
		ServerName:   "program-explorer",
		DontListen:   true,
		NoSigs:       true,
		NoLog:        true,
		JetStream:    true,
		StoreDir:     e.dir,
		SyncAlways:   true,
		SyncInterval: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("configure the embedded NATS server: %w", err)
	}
	s.SetLoggerV2(&natsLog{e.log, e.full}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(natsReady) {
		s.Shutdown()
		s.WaitForShutdown()
		return errors.New("start the embedded NATS server: not ready after " + natsReady.String())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = s
	return nil
}

func (e *embedded) stop() {
	s := e.server()
	s.Shutdown()
	s.WaitForShutdown()
}

func (e *embedded) server() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// InProcessConn lets the queue's clients reach the server without a port.
func (e *embedded) InProcessConn() (net.Conn, error) { return e.server().InProcessConn() }

// natsLog passes what an operator must know to slog, and drops the chatter.
type natsLog struct {
	log  *slog.Logger
	full chan<- struct{}
}

func (l *natsLog) Noticef(string, ...any)        {}
func (l *natsLog) Debugf(string, ...any)         {}
func (l *natsLog) Tracef(string, ...any)         {}
func (l *natsLog) Warnf(format string, v ...any) { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error("nats: " + text)
	// The server has no other word for it.
	if strings.Contains(text, syscall.ENOSPC.Error()) || strings.Contains(text, syscall.EDQUOT.Error()) {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
}
func (l *natsLog) Fatalf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
