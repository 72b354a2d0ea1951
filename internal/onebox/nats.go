package onebox

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsReady bounds the wait for the embedded server, whose start replays its streams.
const natsReady = 60 * time.Second

// startNATS runs a NATS server inside this process, reachable by nobody else:
// it opens no port. Every write is synced before it is acknowledged.
func startNATS(dir string, log *slog.Logger) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:   "program-explorer",
		DontListen:   true,
		NoSigs:       true,
		NoLog:        true,
		JetStream:    true,
		StoreDir:     filepath.Join(dir, "nats"),
		SyncAlways:   true,
		SyncInterval: time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("configure the embedded NATS server: %w", err)
	}
	s.SetLoggerV2(&natsLog{log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(natsReady) {
		stopNATS(s)
		return nil, errors.New("start the embedded NATS server: not ready after " + natsReady.String())
	}
	return s, nil
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// inProcess lets the queue's clients reach the server without a port.
type inProcess struct{ s *server.Server }

func (p inProcess) InProcessConn() (net.Conn, error) { return p.s.InProcessConn() }

// natsLog passes what an operator must know to slog, and drops the chatter.
type natsLog struct{ log *slog.Logger }

func (l *natsLog) Noticef(string, ...any)         {}
func (l *natsLog) Debugf(string, ...any)          {}
func (l *natsLog) Tracef(string, ...any)          {}
func (l *natsLog) Warnf(format string, v ...any)  { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l *natsLog) Fatalf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
