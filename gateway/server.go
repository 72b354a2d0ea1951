package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/program-explorer/pe/gateway/api"
)

// Time-outs of a short exchange; streams and long polls move their own.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute

	maxHeaderBytes = 32 << 10
)

// DefaultAddr is where a gateway listens unless told otherwise.
const DefaultAddr = "127.0.0.1:7300"

// Config is what a gateway serves, and where.
type Config struct {
	// Addr is the TCP address to listen on, port 0 allowed. Default [DefaultAddr].
	Addr string
	// Listener is used instead of Addr if given; the server closes it.
	Listener net.Listener
	// API is what is served. Among its Tokens must be one that can be used, unless
	// the address is of the loopback interface.
	API api.Config
	// ShutdownTimeout bounds how long Run waits for requests under way once its
	// context has ended. Default 10 s.
	ShutdownTimeout time.Duration
}

// ErrNoTokens is what New gives for an address that other machines can reach,
// when no access token is configured: anybody could run jobs.
type ErrNoTokens struct {
	// Addr is the address that was asked for.
	Addr string
}

func (e *ErrNoTokens) Error() string {
	return fmt.Sprintf("listen on %s: other machines can reach this address, and there is no access token that can be used: "+
		"make one with `ped token create --token-file FILE --tenant '*' --scope admin` and give --token-file FILE, or listen on 127.0.0.1", e.Addr)
}

// Server is a gateway that listens. Requests wait until Run serves them.
type Server struct {
	listener net.Listener
	api      *api.API
	http     *http.Server
	shutdown time.Duration
	log      *slog.Logger
}

// New checks the configuration and listens, so that the address is known
// before anything runs. A caller that does not call Run must call Close.
func New(c Config) (*Server, error) {
	if c.API.Log == nil {
		c.API.Log = slog.New(slog.DiscardHandler)
	}
	if c.ShutdownTimeout <= 0 {
		c.ShutdownTimeout = 10 * time.Second
	}
	listener, err := listen(c)
	if err != nil {
		return nil, err
	}
	handler, err := api.New(c.API)
	if err != nil {
		listener.Close()
		return nil, err
	}
	s := &Server{listener: listener, api: handler, shutdown: c.ShutdownTimeout, log: c.API.Log}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		// OPTIONS * is answered as every other path that is not there.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// listen opens the address, and refuses one that needs a token when there is none.
func listen(c Config) (net.Listener, error) {
	listener := c.Listener
	if listener == nil {
		if c.Addr == "" {
			c.Addr = DefaultAddr
		}
		var err error
		if listener, err = net.Listen("tcp", c.Addr); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", c.Addr, err)
		}
	}
	if (c.API.Tokens == nil || !c.API.Tokens.Usable()) && !local(listener.Addr()) {
		listener.Close()
		return nil, &ErrNoTokens{Addr: listener.Addr().String()}
	}
	return listener, nil
}

// local reports whether only programs of this machine can reach the address.
// What it was resolved to counts, not the name that was asked for.
func local(addr net.Addr) bool {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		return addr.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is the address as a client uses it; for an address of all interfaces, the loopback one.
func (s *Server) URL() string {
	addr, ok := s.listener.Addr().(*net.TCPAddr)
	if ok && addr.IP.IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", addr.Port)
	}
	return "http://" + s.listener.Addr().String()
}

// Run serves until ctx ends, then stops taking requests, ends polls and
// streams, and waits for the rest, at most ShutdownTimeout: what is left then is
// broken off.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-ctx.Done()
		stopped <- s.stop(context.WithoutCancel(ctx))
	}()
	err := s.http.Serve(s.listener)
	cancel()
	stopErr := <-stopped
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
	}
	return stopErr
}

func (s *Server) stop(ctx context.Context) error {
	s.api.Drain()
	ctx, cancel := context.WithTimeout(ctx, s.shutdown)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests under way were broken off", "after", s.shutdown)
		return s.http.Close()
	}
	return nil
}

// Close gives the address back without having served.
func (s *Server) Close() error { return errors.Join(s.http.Close(), s.listener.Close()) }
