package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"broadside/internal/mailbox"
	"broadside/internal/outage"
)

// Limits. All of them are in docs/limits.md.
const (
	maxConns         = 100   // at once
	maxConnsOfClient = 30    // at once, from one IP address
	maxMessages      = 16    // that are received at once
	maxPerMinute     = 6_000 // messages
	maxRecipients    = 100   // of a message
	maxLine          = 64 << 10
	stepWithin       = 5 * time.Minute // for a command, or a whole message (RFC 5321, 4.5.3.2)
	connWithin       = time.Hour       // for a connection
	refuseWithin     = time.Second     // to say that there are too many
)

// Config is what a Listener works with.
type Config struct {
	Domain string // whose mail is taken, as DNS knows it
	Sink   mailbox.Sink
	Log    *slog.Logger
}

// A Listener takes bounces on one address.
type Listener struct {
	domain   string
	gate     *mailbox.Gate
	messages chan struct{} // has an entry for each message that is received
	rate     rate
	log      *slog.Logger
	notice   *outage.Notice // of a sink that cannot store

	mu      sync.Mutex
	clients map[string]int // open connections by IP address; guarded by mu
	open    int            // guarded by mu
}

// New returns a listener.
func New(cfg Config) *Listener {
	return &Listener{
		domain: cfg.Domain, gate: mailbox.NewGate(cfg.Sink, cfg.Log), log: cfg.Log,
		notice:   outage.NewNotice(cfg.Log, "bounces cannot be stored", "bounces are stored again"),
		messages: make(chan struct{}, maxMessages), clients: map[string]int{},
	}
}

// Run takes mail on ln until ctx ends, and closes ln. Messages that are received at that
// moment are not stored: their clients try again.
func (l *Listener) Run(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	defer ln.Close()

	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		var passing interface{ Timeout() bool }
		if errors.As(err, &passing) && !errors.Is(err, net.ErrClosed) {
			l.log.Warn("connection for bounces not taken", "err", err) // no more file descriptors, most often
			if sleep(ctx, time.Second) != nil {
				return nil
			}
			continue
		}
		if err != nil {
			return err
		}
		wg.Go(func() { l.serve(ctx, c) })
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve serves one connection to its end. Each has a server of its own, since that is
// what go-smtp tells SMTP and LMTP apart by.
func (l *Listener) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	ok, leave := l.enter(c)
	if !ok {
		_ = c.SetDeadline(time.Now().Add(refuseWithin))
		_, _ = c.Write([]byte("421 4.7.0 Too many connections, try again later\r\n")) // politeness
		return
	}
	defer leave()

	ctx, cancel := context.WithTimeout(ctx, connWithin)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()

	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{listener: l, ctx: ctx}, nil
	}))
	server.Domain = l.domain
	server.MaxRecipients = maxRecipients
	server.MaxMessageBytes = mailbox.MaxMessage
	server.MaxLineLength = maxLine
	server.ReadTimeout = stepWithin
	server.WriteTimeout = time.Minute
	server.EnableSMTPUTF8 = true
	server.ErrorLog = slog.NewLogLogger(l.log.Handler(), slog.LevelDebug)

	one := newOneConn(c, func() { server.LMTP = true })
	_ = server.Serve(one)                           // ends with the connection
	_ = server.Shutdown(context.WithoutCancel(ctx)) // its goroutine is about to end
}

// enter counts a connection, unless there are too many.
func (l *Listener) enter(c net.Conn) (ok bool, leave func()) {
	client, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		client = c.RemoteAddr().String()
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= maxConns || l.clients[client] >= maxConnsOfClient {
		return false, nil
	}
	l.open++
	l.clients[client]++
	return true, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
		l.clients[client]--
		if l.clients[client] == 0 {
			delete(l.clients, client)
		}
	}
}

// A rate counts messages in the current minute. The zero rate is ready for use.
type rate struct {
	mu     sync.Mutex
	minute time.Time // guarded by mu
	count  int       // guarded by mu
}

// take reports whether one more message may come now.
func (r *rate) take(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(r.minute) {
		r.minute = minute
		r.count = 0
	}
	r.count++
	return r.count <= maxPerMinute
}
