package sender

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/crash"
	"broadside/internal/testkit"
	"broadside/sender/smtppool"
)

// panickingConn is a connection that panics when what is written contains a text,
// and writes down what was written.
type panickingConn struct {
	net.Conn
	at string

	mu    sync.Mutex
	burst bool
	after string // what was written after the panic
}

func (f *panickingConn) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.burst {
		f.after += string(p)
	}
	if f.at != "" && bytes.Contains(p, []byte(f.at)) {
		f.burst = true
		panic("cannot write to boom@example.org")
	}
	return f.Conn.Write(p)
}

// panickingHandler is a log handler that panics at a message about a recipient.
type panickingHandler struct {
	slog.Handler
	at    string
	index int64
}

func (p panickingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return panickingHandler{p.Handler.WithAttrs(attrs), p.at, p.index}
}

func (p panickingHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == p.at {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "index" && a.Value.Int64() == p.index {
				panic("cannot say it")
			}
			return true
		})
	}
	return p.Handler.Handle(ctx, r)
}

// TestAPanicFailsItsRecipientAlone: wherever the delivery of the second of
// three panics, the others get their message, the second ends as is known of
// it, and the connection is closed without a QUIT.
func TestAPanicFailsItsRecipientAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		at       string // what must not be written
		log      string // what must not be logged of the second
		want     campaign.State
		accepted int64 // by the server
	}{
		{name: "before the envelope is out", at: "RCPT TO:<boom@", want: campaign.Failed, accepted: 2},
		{name: "in the body", at: "Subject: Hello boom@", want: campaign.Uncertain, accepted: 2},
		{name: "after the outcome was known", log: "message answered", want: campaign.Accepted, accepted: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, "ada@example.org", "boom@example.org", "bob@example.org")
			var log testkit.Log
			var conns []*panickingConn
			b.alter = func(cfg *Config) {
				cfg.Log = slog.New(panickingHandler{slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}), c.log, 1})
				if c.want == campaign.Failed { // else its envelope goes with the body of the first
					cfg.Ways[0].SMTP.Pipelining = smtppool.PipeliningEnvelope
				}
				cfg.Ways[0].SMTP.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					raw, err := new(net.Dialer).DialContext(ctx, network, addr)
					f := &panickingConn{Conn: raw, at: c.at}
					conns = append(conns, f) // one connection at a time
					return f, err
				}
			}
			counts := b.work(b.supp, func(n campaign.Counts) bool {
				return n[campaign.Accepted]+n[campaign.Failed]+n[campaign.Uncertain] == 3
			})
			if want := (campaign.Counts{campaign.Accepted: 2}); true {
				want[c.want]++
				for s, n := range want {
					if counts[s] != n {
						t.Errorf("%d are %c, want %d", counts[s], s, n)
					}
				}
			}
			if got := b.sink.Counts(); int64(got.Accepted) != c.accepted {
				t.Errorf("the server took %d, want %d", got.Accepted, c.accepted)
			}
			for _, f := range conns {
				f.mu.Lock()
				if f.after != "" {
					t.Errorf("after the panic there came %q", f.after)
				}
				f.mu.Unlock()
			}
			if len(conns) != 2 && c.at != "" {
				t.Errorf("%d connections, want the broken one and another", len(conns))
			}
			b.faultReported(log.String(), c.want)
		})
	}
}

// faultReported looks at the log, and at what is said of the recipient.
func (b *fixture) faultReported(log string, state campaign.State) {
	b.t.Helper()
	if strings.Count(log, "panic stopped") != 1 || strings.Count(log, "stack=") != 1 || !strings.Contains(log, "run=news-1 part=0 index=1") {
		b.t.Errorf("log, want one panic with its stack:\n%s", log)
	}

	for line := range strings.Lines(log) {
		if strings.Contains(line, "panic stopped") && strings.Contains(line, "@example.org") {
			b.t.Errorf("an address in the log: %s", line)
		}
	}

	replies, err := b.ledger.Replies(b.t.Context(), b.run)
	if err != nil {
		b.t.Fatal(err)
	}

	if text := replies[[2]int{0, 1}].Text; state != campaign.Accepted && !strings.HasPrefix(text, "internal fault in sender.(*panickingConn).Write:") {
		b.t.Errorf("the recipient's reason is %q", text)
	}
}

// TestAClaimWithoutABodyIsReleasedAfterAPanic: otherwise it would stay until the
// worker is found dead.
func TestAClaimWithoutABodyIsReleasedAfterAPanic(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	rescued := make(chan struct{})
	b.alter = func(cfg *Config) {
		w := New(*cfg)
		d := w.newDelivery(w.accounts["sink"])
		cfg.Tasks = func(ctx context.Context, _ func(context.Context, campaign.Task)) error {
			defer close(rescued)
			rcpt := &recipient{run: &run{handle: b.run}, ref: ledger.Ref{Run: b.run}}
			rcpt.lane = d.a.lanes.of(rcpt)
			conn, err := d.a.route.pool.Get(ctx)
			if err != nil {
				t.Error(err)
				return nil
			}
			d.begin(rcpt)
			d.conn, d.current.claim = conn, cfg.Member.Ask(rcpt.ref)
			if c, err := cfg.Line.Claim(ctx, rcpt.ref, d.current.claim.Token, ledger.SuppressionKey{Topic: "news"}); err != nil || !c.Held {
				t.Errorf("claim %+v, %v", c, err)
			}
			d.rescue(d.current, &crash.Fault{Place: "here", Text: "x"})
			if open := d.a.route.connections(); open != 0 {
				t.Errorf("%d connections are still open", open)
			}
			return nil
		}
	}
	b.work(b.supp, func(campaign.Counts) bool {
		select {
		case <-rescued:
			return true
		default:
			return false
		}
	})
	claims, err := b.ledger.Claims(t.Context(), b.run)
	if err != nil || len(claims) != 0 {
		t.Errorf("claims %v, %v", claims, err)
	}

	cells, err := b.ledger.Page(t.Context(), b.run, 0, 0)
	if err != nil || len(cells) != 1 || cells[0].State != campaign.Pending || cells[0].When < faultRest/2 || cells[0].Attempts != 0 {
		t.Errorf("cells %+v, %v: want one that is pending, rests about %v and has no attempt", cells, err, faultRest)
	}
}
