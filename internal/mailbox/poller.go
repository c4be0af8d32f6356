package mailbox

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"broadside/configs"
	"broadside/internal/outage"
	"broadside/sender/oauth"
)

// maxPause is the longest time between two tries to read a mailbox that fails.
const maxPause = 10 * time.Minute

// Config is what a Poller works with.
type Config struct {
	Mailboxes []configs.Mailbox
	Every     time.Duration // between two looks into a mailbox
	Sink      Sink
	Register  *Register
	Tokens    *oauth.Store // access tokens of mailboxes that have them

	// Quarantined is told of each message that went to quarantine, and why. Without it
	// that is in the log alone.
	Quarantined func(ctx context.Context, source, reason string) error

	Roots *x509.CertPool // that vouch for servers; nil: those of the system
	Log   *slog.Logger
}

// A Poller reads mailboxes. It is safe for concurrent use.
type Poller struct {
	boxes []*box
	every time.Duration
}

// Came is what one look into a mailbox brought.
type Came struct {
	Stored      int // messages that the sink took
	Quarantined int
	More        bool // there were more than are read in one look
}

// A Result is what came from one mailbox.
type Result struct {
	Mailbox string // its URL, without password
	Came
	Err error // why it was not read to its end
}

// A box is one mailbox and what it takes to read it.
type box struct {
	configs.Mailbox
	name        string
	dialer      dialer
	tokens      tokens // nil: the password is what logs in
	unusable    error  // why there are no tokens
	gate        *Gate
	quarantined func(ctx context.Context, source, reason string) error // may be nil
	register    *Register
	log         *slog.Logger
	notice      *outage.Notice
}

// A session is what a protocol offers: reading what is new, and waiting for more.
type session interface {
	poll(ctx context.Context) (Came, error)
	wait(ctx context.Context, pause time.Duration) error
	close()
}

// New returns a poller.
func New(cfg Config) *Poller {
	p := &Poller{every: cfg.Every}
	g := NewGate(cfg.Sink, cfg.Log)
	d := dialer{roots: cfg.Roots, dial: new(net.Dialer).DialContext}
	for _, m := range cfg.Mailboxes {
		b := &box{
			Mailbox: m, name: m.String(), dialer: d, gate: g, register: cfg.Register, quarantined: cfg.Quarantined, log: cfg.Log,
			notice: outage.NewNotice(cfg.Log, "mailbox cannot be read", "mailbox is read again"),
		}
		if m.OAuth2 != nil {
			b.tokens, b.unusable = cfg.Tokens.Mailbox(m) // nil in tokens is none: open looks at unusable
		}
		p.boxes = append(p.boxes, b)
	}
	return p
}

// Run reads all mailboxes until ctx ends.
func (p *Poller) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, b := range p.boxes {
		wg.Go(func() { b.run(ctx, p.every) })
	}
	wg.Wait()
}

// Poll reads all mailboxes now, once, to their ends. It takes no lease.
func (p *Poller) Poll(ctx context.Context) []Result {
	results := make([]Result, len(p.boxes))
	var wg sync.WaitGroup
	for i, b := range p.boxes {
		wg.Go(func() { results[i] = b.once(ctx) })
	}
	wg.Wait()
	return results
}

func (b *box) once(ctx context.Context) Result {
	r := Result{Mailbox: b.name}
	s, err := b.open(ctx)
	if err != nil {
		r.Err = b.ill(ctx, Came{}, err)
		return r
	}
	defer s.close()

	for r.More = true; r.More && r.Err == nil; {
		came, err := s.poll(ctx)
		r.Stored += came.Stored
		r.Quarantined += came.Quarantined
		r.More = came.More
		if err == nil {
			r.Err = b.well(ctx, came)
		} else {
			r.Err = b.ill(ctx, came, err)
		}
	}
	return r
}

func (b *box) open(ctx context.Context) (session, error) {
	if b.unusable != nil {
		return nil, b.unusable
	}
	if b.Protocol == configs.POP3 {
		return &pop3Session{b}, nil
	}
	return b.openIMAP(ctx)
}

// run reads the mailbox whenever this process has the lease, until ctx ends.
func (b *box) run(ctx context.Context, every time.Duration) {
	holder := rand.Text()
	for ctx.Err() == nil {
		held, err := b.register.lease(ctx, b.Mailbox, holder)
		if held {
			b.holding(ctx, holder, every)
		} else if err != nil {
			b.notice.Note(err, "mailbox", b.name)
		}
		_ = sleep(ctx, leaseFor/3) // its error is that of ctx
	}
}

// holding reads the mailbox until ctx ends or another process has the lease.
func (b *box) holding(ctx context.Context, holder string, every time.Duration) {
	defer b.register.release(ctx, b.Mailbox, holder)
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		for sleep(ctx, leaseFor/3) == nil {
			held, err := b.register.lease(ctx, b.Mailbox, holder)
			if err == nil && !held {
				return
			}
		}
	})
	defer wg.Wait()
	defer stop()

	failures := 0
	for ctx.Err() == nil {
		err := b.visit(ctx, every, func() { failures = 0 })
		if err != nil {
			failures++
		}
		_ = sleep(ctx, pauseAfter(failures, every)) // its error is that of ctx
	}
}

// pauseAfter returns how long to wait after some failures in a row: twice as long each time, so
// that a wrong password does not lock an account.
func pauseAfter(failures int, every time.Duration) time.Duration {
	pause := every
	for range failures - 1 {
		if pause >= maxPause {
			break
		}
		pause = min(2*pause, maxPause)
	}
	return pause
}

// visit logs in and reads the mailbox again and again, until that fails or the connection
// ends. It calls works each time that it was read. A connection that ends while nothing
// is read is no failure: servers end those that are idle.
func (b *box) visit(ctx context.Context, every time.Duration, works func()) error {
	s, err := b.open(ctx)
	if err != nil {
		return b.ill(ctx, Came{}, err)
	}
	defer s.close()

	for {
		came, err := s.poll(ctx)
		if err != nil {
			return b.ill(ctx, came, err)
		}
		if err := b.well(ctx, came); err != nil {
			return err
		}
		works()
		if came.More {
			continue
		}
		if err := s.wait(ctx, every); err != nil {
			b.log.Debug("mailbox: connection ended while it was idle", "mailbox", b.name, "err", err)
			return nil
		}
	}
}

// well notes that the mailbox was read.
func (b *box) well(ctx context.Context, came Came) error {
	if err := b.register.read(ctx, b.Mailbox, came.Stored); err != nil {
		b.notice.Note(err, "mailbox", b.name)
		return err
	}
	b.notice.Note(nil)
	if came.Stored > 0 || came.Quarantined > 0 {
		b.log.Info("mailbox read", "mailbox", b.name, "stored", came.Stored, "quarantined", came.Quarantined)
	}
	return nil
}

// ill notes that the mailbox could not be read and returns why, without the password.
func (b *box) ill(ctx context.Context, came Came, why error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	why = b.withoutPassword(why)
	b.notice.Note(why, "mailbox", b.name)
	_ = b.register.failed(ctx, b.Mailbox, came.Stored, why) // Redis is away too: its own log line says so
	return why
}

// withoutPassword returns an error that does not show the password: a server may repeat
// what it was sent.
func (b *box) withoutPassword(err error) error {
	text := err.Error()
	if b.Password == "" || !strings.Contains(text, b.Password.Reveal()) {
		return err
	}
	return errors.New(strings.ReplaceAll(text, b.Password.Reveal(), b.Password.String()))
}

// noteQuarantine says that a message went to quarantine, why, and by what it is found
// there. Where that cannot be counted it is in the log.
func (b *box) noteQuarantine(ctx context.Context, why error, found ...any) {
	b.log.Warn("message put in quarantine", append([]any{"mailbox", b.name, "err", why}, found...)...)
	if b.quarantined == nil {
		return
	}
	err := b.quarantined(ctx, b.name, why.Error())
	if err != nil {
		b.log.Warn("message in quarantine is not counted", "mailbox", b.name, "err", err)
	}
}
