package smtppool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadside/internal/testkit"
	"broadside/sender/reply"
)

func TestPoolReuses(t *testing.T) {
	t.Parallel()
	p, srv := newPool(t, Config{}, unlimited())
	a := get(t, p)
	b := get(t, p)
	p.Put(a)
	p.Put(b)
	if got := get(t, p); got != b {
		t.Error("got an older connection, want the one used last")
	} else {
		p.Put(got)
	}

	for range 5 {
		c := get(t, p)
		if got := send(t.Context(), c, "t@x.org", "hi\r\n"); got != "dot 250 ok complete=true" {
			t.Error(got)
		}
		p.Put(c)
	}

	if _, _, total, mail := srv.counts(); total != 2 || mail != 5 {
		t.Errorf("%d connections for %d messages, want 2 for 5", total, mail)
	}
}

// However many ask, neither the process's own limit nor the leases are
// exceeded, all messages go, and all leases come back.
func TestPoolLimits(t *testing.T) {
	t.Parallel()
	l := &leases{limit: 4}
	p, srv := newPool(t, Config{MaxConns: 4, MaxMessages: 3}, l)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range 10 {
				c, err := p.Get(t.Context())
				if err != nil {
					t.Error(err)
					return
				}

				if got := send(t.Context(), c, "t@x.org", "hi\r\n"); got != "dot 250 ok complete=true" {
					t.Error(got)
				}
				if (i+j)%7 == 0 {
					p.Discard(c)
				} else {
					p.Put(c)
				}
			}
		})
	}

	wg.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	srv.wg.Wait()
	open, most, total, mail := srv.counts()
	if mail != 200 || open != 0 || most > 4 || total < 200/3 {
		t.Errorf("messages %d, open %d, most %d, connections %d; want 200, 0, at most 4, at least 66", mail, open, most, total)
	}

	if out, most := l.counts(); out != 0 || most > 4 {
		t.Errorf("leases out %d, most %d; want 0 and at most 4", out, most)
	}
}

func TestPoolWithoutLease(t *testing.T) {
	t.Parallel()
	l := &leases{limit: 1}
	p, srv := newPool(t, Config{}, l)
	c := get(t, p)
	if _, err := p.Get(t.Context()); !errors.Is(err, ErrNoLease) {
		t.Errorf("got %v, want ErrNoLease", err)
	}

	p.Put(c)
	if got := get(t, p); got != c {
		t.Error("the idle connection was not used")
	}

	p.Discard(c)
	l.err = errors.New("redis is away")
	if _, err := p.Get(t.Context()); !errors.Is(err, l.err) || !strings.Contains(err.Error(), "account test") {
		t.Errorf("got %v, want the error of the leases", err)
	}

	out, _ := l.counts()
	if _, most, total, _ := srv.counts(); most != 1 || total != 1 || out != 0 {
		t.Errorf("most %d, connections %d, leases out %d; want 1, 1, 0", most, total, out)
	}
}

// A connection that cannot be opened costs no lease and no room.
func TestPoolDialFails(t *testing.T) {
	t.Parallel()
	l := &leases{limit: 1}
	boom := &net.OpError{Op: "dial", Err: errors.New("no")}
	p, _ := newPool(t, Config{MaxConns: 1, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, boom }}, l)
	for range 3 {
		var e *Error
		if _, err := p.Get(t.Context()); !errors.As(err, &e) || !errors.Is(err, boom) {
			t.Errorf("got %v, want an *Error", err)
		}
	}

	if out, most := l.counts(); out != 0 || most != 1 {
		t.Errorf("leases out %d, most %d; want 0, 1", out, most)
	}
}

func TestPoolWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, Config{MaxConns: 1}, unlimited())
		c := get(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}

		time.AfterFunc(time.Minute, func() { p.Put(c) })
		start := time.Now()
		if got := get(t, p); got != c || time.Since(start) != time.Minute {
			t.Errorf("got another connection, or after %s", time.Since(start))
		}

		p.Put(c)
	})
}

// reap runs the pool's reaper until stop is called.
func reap(t *testing.T, p *Pool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// Idle connections end after ten seconds, and after a second while other
// processes wait for a lease.
func TestPoolReaps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		contended bool
		from, to  time.Duration // it is open at from, closed at to
	}{{false, 9900 * time.Millisecond, 10300 * time.Millisecond}, {true, 900 * time.Millisecond, 1300 * time.Millisecond}} {
		t.Run(fmt.Sprint(tt.contended), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &leases{limit: 3, contended: tt.contended}
				p, srv := newPool(t, Config{}, l)
				stop := reap(t, p)
				a := get(t, p)
				b := get(t, p)
				p.Put(a)
				time.Sleep(tt.from)
				if open, _, _, _ := srv.counts(); open != 2 {
					t.Errorf("%d open after %s, want 2", open, tt.from)
				}

				time.Sleep(tt.to - tt.from)
				out, _ := l.counts()
				if open, _, _, _ := srv.counts(); open != 1 || out != 1 {
					t.Errorf("%d open, %d leases after %s, want 1: the one in use", open, out, tt.to)
				}

				p.Put(b)
				stop()
			})
		})
	}
}

// While another process has less than its share, connections beyond the share of
// this one end after their messages.
func TestPoolSharesWhatIsInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &leases{limit: 3, contended: true, excess: 1}
		p, srv := newPool(t, Config{}, l)
		stop := reap(t, p)
		conns := []*Conn{get(t, p), get(t, p), get(t, p)}
		time.Sleep(contendedIdle * 3 / 8) // one round has passed, the next is not due
		for _, c := range conns {
			p.Put(c)
		}

		if open, _, _, _ := srv.counts(); open != 2 {
			t.Errorf("%d open, want 2: one of three was given to the other process", open)
		}
		if out, _ := l.counts(); out != 2 {
			t.Errorf("%d leases, want 2", out)
		}

		stop()
	})
}

// Idle connections that another process needs end in the next round, however
// short they have been idle.
func TestPoolSharesWhatIsIdleAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &leases{limit: 3, share: 1}
		p, _ := newPool(t, Config{}, l)
		stop := reap(t, p)
		conns := []*Conn{get(t, p), get(t, p), get(t, p)}
		time.Sleep(contendedIdle / 8)
		for _, c := range conns {
			p.Put(c)
		}

		time.Sleep(contendedIdle / 4)
		if out, _ := l.counts(); out != 1 {
			t.Errorf("%d leases are out, want 1: the others are for other processes", out)
		}

		stop()
	})
}

// A connection that is being closed for another process counts until its lease
// is back; in the meantime no other one is closed in its place.
func TestPoolEndsNoMoreThanWhatOthersNeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &leases{limit: 3, share: 2, slow: contendedIdle}
		p, _ := newPool(t, Config{}, l)
		stop := reap(t, p)
		a := get(t, p)
		b := get(t, p)
		c := get(t, p)
		time.Sleep(contendedIdle * 3 / 8) // one round has passed
		var closing sync.WaitGroup
		closing.Go(func() { p.Put(a) })
		time.Sleep(contendedIdle / 4) // and another
		p.Put(b)
		p.Put(c)
		closing.Wait()
		if out, _ := l.counts(); out != 2 {
			t.Errorf("%d leases are out, want 2", out)
		}

		stop()
	})
}

// A 421 ends a connection, one in DATA is closed hard, and old ones retire.
func TestPoolRetires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &leases{limit: 3}
		p, srv := newPool(t, Config{MaxAge: time.Minute}, l)
		c := get(t, p)
		if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
			t.Fatal(r)
		}

		p.Put(c)
		out, _ := l.counts()
		if _, _, _, mail := srv.counts(); out != 0 || mail != 0 {
			t.Errorf("a connection inside DATA was kept, or its message delivered (%d)", mail)
		}

		c = get(t, p)
		time.Sleep(61 * time.Second)
		p.Put(c)
		if out, _ := l.counts(); out != 0 {
			t.Error("an old connection was kept")
		}

		c = get(t, p)
		p.Put(c)
		time.Sleep(11 * time.Second) // no one runs the reaper
		if got := get(t, p); got == c {
			t.Error("a connection past its idle time was used")
		} else {
			p.Put(got)
		}

		if _, most := l.counts(); most != 1 {
			t.Errorf("most leases %d, want 1", most)
		}
	})
}

// A server out of step with pipelining is talked to one by one from then on.
func TestPoolDemotesPipelining(t *testing.T) {
	t.Parallel()
	scripts := make(chan string, 2)
	scripts <- hello("PIPELINING") + "C*\nC*\nC*\nS: 250 ok\nS: 250 ok\nS: 250 ok\n"
	scripts <- hello("PIPELINING") + "C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\nC*\nC*\nS: 250 done\nC: QUIT\nS: 221 bye\n"
	var wg sync.WaitGroup
	p, _ := newPool(t, Config{Helo: "me.example", Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		script := <-scripts
		wg.Go(func() { newPeer(t, server).play(script) })
		return client, nil
	}}, unlimited())
	c := get(t, p)
	if got := send(t.Context(), c, "t@x.org", "hi\r\n"); got != "data bad_reply: expected 354, got 250 ok" {
		t.Error(got)
	}

	p.Put(c)
	c = get(t, p)
	if got := send(t.Context(), c, "t@x.org", "hi\r\n"); got != "dot 250 done complete=true" {
		t.Error(got)
	}

	p.Put(c)
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}

	wg.Wait()
}

// Close waits for what is in use, within its context.
func TestPoolClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &leases{limit: 3}
		p, srv := newPool(t, Config{}, l)
		a := get(t, p)
		b := get(t, p)
		p.Put(a)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if _, err := p.Get(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}

		time.AfterFunc(time.Second, func() { p.Put(b) })
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}

		out, _ := l.counts()
		if open, _, _, _ := srv.counts(); open != 0 || out != 0 {
			t.Errorf("%d open, %d leases out", open, out)
		}
	})
}

// A connection that the server has closed while it was idle is not used.
func TestQuiet(t *testing.T) {
	t.Parallel()
	p, srv := tcpPool(t, Config{})
	c := get(t, p)
	defer p.Discard(c)
	if !c.quiet() {
		t.Error("an idle connection counts as dead")
	}
	if got := send(t.Context(), c, "t@x.org", "hi\r\n"); got != "dot 250 ok complete=true" {
		t.Error(got)
	}
	if !c.quiet() {
		t.Error("a used connection counts as dead")
	}

	srv.mu.Lock()
	_, err := io.WriteString(srv.conns[0], "421 4.4.2 idle for too long\r\n")
	srv.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}

	seen := false
	for range testkit.Tries(10 * time.Second) { // until loopback has carried it over
		if seen = !c.quiet(); seen {
			break
		}
	}

	if !seen {
		t.Error("the 421 was not seen")
	}
	if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r == nil || r.Code != 421 || r.Stage != reply.Mail {
		t.Errorf("got %v, want the 421", r)
	}
}
