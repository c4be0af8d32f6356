package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"broadside/campaign"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/crash"
	"broadside/internal/outage"
	"broadside/internal/subscribe"
	"broadside/internal/tracking"
	"broadside/internal/web/theme"
)

// Feedback applies unsubscribes; *feedback.Recorder is one. Its Run keeps them
// from being forgotten.
type Feedback interface {
	Apply(ctx context.Context, e campaign.Event) error
	Run(ctx context.Context)
}

// Tracking counts opens and clicks; *tracking.Counter is one. Count does not wait; Run
// keeps what was counted.
type Tracking interface {
	Count(v tracking.Visit)
	Run(ctx context.Context)
}

// Config is what a Server needs. Only Keys, Feedback and Ready must be there.
type Config struct {
	Keys     *token.Keys // open the links
	Feedback Feedback

	// Ready says whether the store answers; its context ends after a second.
	Ready func(context.Context) error

	// Hooks answers the webhooks of providers, by the path value "name"; nil: none is taken.
	Hooks http.Handler

	// API answers programs, by the path value "path" behind /api/; nil: there is none.
	API http.Handler

	// Subscribe has the forms on which people subscribe; nil: there are none.
	Subscribe *subscribe.Service
	// Tracking is told of opens and clicks. Without it links lead on, and nothing is counted.
	Tracking Tracking

	Topics map[string]configs.Topic // what readers can get; a link may have another one

	// List tells what a reader has left. Without it pages say nothing of that, and undo
	// nothing.
	List List

	// Language returns the language that the campaign of a run gives; empty when it gives
	// none, or there is no such run any more. Without it the browser's counts.
	Language func(ctx context.Context, run string) (string, error)

	Theme *theme.Theme // what pages look like; nil: as they are built in

	// PublicURL is what readers' links begin with. Links work under its path and
	// without it; where it is https, browsers are told to insist on that.
	PublicURL string
	Log       *slog.Logger
}

// A Server answers HTTP.
type Server struct {
	cfg    Config
	log    *slog.Logger
	base   string // path of the public URL, without a final slash
	https  bool
	runs   *runLanguages
	crash  *crash.Reporter
	outage *outage.Notice // while unsubscribes cannot be recorded
	asks   *outage.Notice // while subscriptions cannot be
}

// New returns a server.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("make web server: no keys")
	case cfg.Feedback == nil:
		return nil, errors.New("make web server: no feedback")
	case cfg.Ready == nil:
		return nil, errors.New("make web server: no check for readiness")
	}

	public, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("make web server: %w", err)
	}

	if cfg.Theme == nil {
		if cfg.Theme, err = theme.Load(""); err != nil {
			return nil, fmt.Errorf("make web server: %w", err)
		}
	}

	s := &Server{
		cfg: cfg, log: cfg.Log, base: strings.TrimRight(public.Path, "/"), https: public.Scheme == "https",
		runs: &runLanguages{read: cfg.Language},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}

	s.outage = outage.NewNotice(s.log, "unsubscribes cannot be noted, readers are asked to try again", "unsubscribes are noted again")
	s.asks = outage.NewNotice(s.log, "subscriptions cannot be noted, readers are asked to try again", "subscriptions are noted again")
	s.crash = crash.NewReporter(s.log)
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

// Run serves on ln until ctx ends, then finishes the requests under way within
// five seconds and returns nil. It closes ln. Feedback and tracking run as long.
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
	open := crowd{keepAlive: srv.SetKeepAlivesEnabled, log: s.log}
	srv.ConnState = open.watch
	ln = netutil.LimitListener(ln, maxConns)

	var feedback sync.WaitGroup
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	feedback.Go(func() { s.cfg.Feedback.Run(running) })
	if s.cfg.Tracking != nil {
		feedback.Go(func() { s.cfg.Tracking.Run(running) })
	}
	defer feedback.Wait()
	defer stop()

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
