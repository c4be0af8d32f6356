package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Config says what a Sink does in addition to answering. The zero Config works.
type Config struct {
	// Out is a directory, made when missing, that gets each accepted message
	// as one .eml file. Empty: messages are counted and forgotten.
	Out string

	// Record is called once for each recipient, with what became of it, before
	// the reply leaves. Connections call it at the same time.
	Record func(Event)

	// Logger gets what goes wrong in the sink itself; nil discards it.
	Logger *slog.Logger
}

// An Event is what became of one recipient.
type Event struct {
	Outcome  Outcome
	From, To string // without angle brackets; From is empty for the null sender
	Size     int    // bytes of the message without dot-stuffing; 0 when refused at RCPT
	Data     []byte // the message without dot-stuffing, CRLF line ends as sent; valid during the call only
}

// A Sink is an SMTP server.
type Sink struct {
	cfg      Config
	log      *slog.Logger
	totals   totals
	store    *store
	patience patience
	sequence atomic.Uint64
	listener net.Listener
	quit     chan struct{} // closed by shut

	mu       sync.Mutex // guards what follows
	shutting bool
	sessions map[*session]struct{}
	wg       sync.WaitGroup // sessions
}

// Listen binds addr (host:port; port 0 takes a free one) and makes the output
// directory ready. Clients may connect from here on; Serve answers them.
func Listen(addr string, cfg Config) (*Sink, error) {
	s := newSink(cfg)
	var err error
	if cfg.Out != "" {
		if s.store, err = openStore(cfg.Out); err != nil {
			return nil, err
		}
	}
	if s.listener, err = net.Listen("tcp", addr); err != nil {
		return nil, fmt.Errorf("listen for SMTP: %w", err)
	}
	return s, nil
}

// newSink returns a Sink that listens nowhere.
func newSink(cfg Config) *Sink {
	log := cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	return &Sink{cfg: cfg, log: log, quit: make(chan struct{}), sessions: map[*session]struct{}{}}
}

// Addr returns the address that the sink listens at.
func (s *Sink) Addr() net.Addr { return s.listener.Addr() }

// Counts returns what the sink has done so far.
func (s *Sink) Counts() Counts { return s.totals.read() }

// Serve answers connections until ctx ends; it is called once. Before it
// returns, idle connections are told 421 and closed, a message that is under way
// gets five seconds to end, and every goroutine has ended.
func (s *Sink) Serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.shut)
	defer stop()
	s.accept()
	s.wg.Wait()
}

// accept hands each connection to a session of its own until the sink closes.
func (s *Sink) accept() {
	for {
		c, err := s.listener.Accept()
		switch {
		case err == nil:
			s.begin(c)
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, say: it passes
			s.log.Warn("connection not accepted", "err", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-s.quit:
				return
			}
		}
	}
}

// begin starts the session of c, unless the sink is closing.
func (s *Sink) begin(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutting {
		c.Close()
		return
	}
	ses := newSession(s, c)
	s.sessions[ses] = struct{}{}
	s.totals.connections.Add(1)
	s.wg.Go(func() {
		ses.run()
		s.mu.Lock()
		delete(s.sessions, ses)
		s.mu.Unlock()
	})
}

// shut stops listening and wakes every session; it does not wait.
func (s *Sink) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutting = true
	close(s.quit)
	s.listener.Close()
	for ses := range s.sessions {
		ses.shut()
	}
}
