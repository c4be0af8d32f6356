package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"broadside/campaign/suppression"
	"broadside/campaign/token"
)

// A Suppressor notes who must not be mailed. It returns how many entries are
// new; *suppression.Store is one.
type Suppressor interface {
	Add(ctx context.Context, entries ...suppression.Entry) (int, error)
}

// Config is what a Server needs. Only HTTPS, Topics, OnUnsubscribe and Log may
// be left out.
type Config struct {
	Keys        *token.Keys // open the links
	Suppression Suppressor

	// Ready says whether the store answers; its context ends after a second.
	Ready func(context.Context) error

	// OnUnsubscribe is told of each unsubscribe that is new, to count it for
	// the run. The suppression stands whatever it returns; an error is logged.
	OnUnsubscribe func(ctx context.Context, run, address string) error

	Topics map[string]string // what readers call a topic; without an entry its id
	HTTPS  bool              // readers come by https: browsers are told to insist
	Log    *slog.Logger
}

// A Server answers HTTP.
type Server struct {
	cfg  Config
	log  *slog.Logger
	page *page
}

// New returns a server.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("make web server: no keys")
	case cfg.Suppression == nil:
		return nil, errors.New("make web server: no suppression list")
	case cfg.Ready == nil:
		return nil, errors.New("make web server: no question for readiness")
	}
	s := &Server{cfg: cfg, log: cfg.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.page, err = newPage(); err != nil {
		return nil, fmt.Errorf("make web server: %w", err)
	}
	return s, nil
}

// Limits of a request. A platform's router gives up after 30 s, so that the
// whole answer must be quicker.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 25 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeader         = 16 << 10 // bytes
	shutdownGrace     = 5 * time.Second
)

// Run serves on ln until ctx ends, then finishes what is under way for at
// most five seconds and returns nil. It closes ln.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve http on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		s.log.Warn("http requests cut off at shutdown", "err", errors.Join(err, srv.Close()))
	}
	<-served
	return nil
}
