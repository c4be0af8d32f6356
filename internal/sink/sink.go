package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Config says what a Sink does beside answering. The zero Config works.
type Config struct {
	// Out is a directory, made when missing, that gets each accepted message
	// as one .eml file. Empty: messages are counted and forgotten.
	Out string
	// Record is called once for each recipient, with what became of it, before
	// the reply leaves. Connections call it at the same time.
	Record func(Event)
	// OnMessage is called once for each accepted message, before the reply
	// leaves. Connections call it at the same time.
	OnMessage func(Message)
	// Logger gets what goes wrong in the sink itself; nil discards it.
	Logger *slog.Logger
}

// An Event is what became of one recipient.
type Event struct {
	At        time.Time
	Outcome   Outcome
	From, To  string // without angle brackets; From is empty for the null sender
	MessageID string // as in the header field, with angle brackets; empty when refused at RCPT or absent
	Size      int    // bytes of the message without dot-stuffing; 0 when refused at RCPT
}

// A Message is one accepted message.
type Message struct {
	At   time.Time
	From string
	To   []string // valid during the call only
	Data []byte   // without dot-stuffing, CRLF line ends as sent; valid during the call only
}

// A Sink is an SMTP server. Make it with New; it is used once: after Close
// it stays closed.
type Sink struct {
	cfg      Config
	log      *slog.Logger
	totals   totals
	store    *store
	patience patience
	sequence atomic.Uint64
	quit     chan struct{} // closed by shut

	mu       sync.Mutex // guards what follows
	listener net.Listener
	served   chan struct{} // closed when Serve has returned; nil before Serve
	shutting bool
	sessions map[*session]struct{}
	wg       sync.WaitGroup // sessions
}

// New returns a Sink that does not listen yet.
func New(cfg Config) *Sink {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Sink{cfg: cfg, log: log, quit: make(chan struct{}), sessions: map[*session]struct{}{}}
}

// Listen binds addr (host:port; port 0 takes a free one) and makes the output
// directory ready. Clients may connect from here on; Serve answers them.
func (s *Sink) Listen(addr string) error {
	if s.cfg.Out != "" {
		store, err := openStore(s.cfg.Out)
		if err != nil {
			return err
		}
		s.store = store
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for SMTP: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutting || s.listener != nil {
		l.Close()
		return errors.New("listen for SMTP: the sink listens already or is closed")
	}
	s.listener = l
	return nil
}

// Addr returns the address that Listen bound, nil before.
func (s *Sink) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Serve answers connections until ctx ends or Close is called, and returns
// nil then. Before it returns, idle connections are told 421 and closed, a
// message that is under way gets five seconds to end, and every goroutine has
// ended.
func (s *Sink) Serve(ctx context.Context) error {
	s.mu.Lock()
	l := s.listener
	if l == nil || s.served != nil {
		s.mu.Unlock()
		return errors.New("serve SMTP: the sink does not listen, or serves already")
	}
	s.served = make(chan struct{})
	s.mu.Unlock()
	defer close(s.served)

	stop := context.AfterFunc(ctx, s.shut)
	defer stop()
	err := s.accept(l)
	s.shut()
	s.wg.Wait()
	return err
}

// Close stops the sink as the end of Serve's context does, and waits until
// Serve has returned.
func (s *Sink) Close() {
	s.shut()
	s.mu.Lock()
	served := s.served
	s.mu.Unlock()
	if served != nil {
		<-served
	}
}

// Counts returns what the sink has done so far.
func (s *Sink) Counts() Counts { return s.totals.read() }

// accept hands each connection to a session of its own.
func (s *Sink) accept(l net.Listener) error {
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			s.begin(c)
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // out of file descriptors, say: it passes
			s.log.Warn("accept connection", "err", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-s.quit:
				return nil
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
	if s.shutting {
		return
	}
	s.shutting = true
	close(s.quit)
	if s.listener != nil {
		s.listener.Close()
	}
	for ses := range s.sessions {
		ses.shut()
	}
}
