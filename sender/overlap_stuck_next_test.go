package sender

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/internal/testkit"
)

// A recipient that is picked and whose message cannot be made goes back to its lane, and fails
// alone in its turn; the body before goes without an envelope behind it.
func TestANextWhoseMessageCannotBeMade(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	j := &scriptedServer{}
	b.stepByStep(j, b.supp, func(h *stepper) {
		slot := h.slots(30*time.Second, time.Hour)
		snapshot, err := b.ledger.Snapshot(t.Context(), b.run)
		if err != nil {
			t.Fatal(err)
		}
		snapshot.Origin = "news-0" // in which only ada has a place
		if h.r.composer, err = h.w.runs.compose(*snapshot); err != nil {
			t.Fatal(err)
		}
		ada := h.lane().normal.runs[0].recipients[0]
		ada.row.Meta = &audience.Meta{Origin: &audience.Origin{}}
		h.deliver(t.Context())
		h.expectSlots(slot)
		if h.d.current != nil || h.d.next != nil || len(h.waiting()) != 1 {
			t.Error(h)
		}
		h.deliver(t.Context())
		h.expectHeld()
		h.expectOpen(1)
	})
	if diff := cmp.Diff(map[string]string{"ada@example.org": "a1", "next@example.org": "f1"}, b.cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}

	if diff := cmp.Diff(map[string]int{"ada@example.org": 1}, j.took()); diff != "" {
		t.Errorf("messages taken (-want +got):\n%s", diff)
	}

	b.settledAll()
}

// A next whose envelope the server cannot take is not sent ahead: it goes back
// to its lane and has its turn alone.
func TestANextThatCannotGoAheadWaits(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "jürgen@example.org")
	j := &scriptedServer{} // it offers no SMTPUTF8
	b.stepByStep(j, b.supp, func(h *stepper) {
		slot := h.slots(30*time.Second, time.Hour)
		h.deliver(t.Context())
		h.expectSlots(slot)
		if len(h.waiting()) != 1 || h.d.current != nil || h.d.next != nil {
			t.Fatal(h)
		}
		h.expectOpen(1)
		h.deliver(t.Context())
		h.expectSlots(slot)
		h.expectHeld()
	})
	if diff := cmp.Diff(map[string]string{"ada@example.org": "a1", "jürgen@example.org": "f1"}, b.cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}

	b.settledAll()
}

// An envelope that goes ahead says how large its message is.
func TestAnEnvelopeAheadSaysItsSize(t *testing.T) {
	t.Parallel()
	const n = 4
	r := testkit.NewRecsink(t)
	b := newFixture(t, people("p", n)...)
	tap := &tap{}
	b.toServer(r.Addr(), 1, func(cfg *Config) {
		cfg.Ways[0].SMTP.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &tapped{conn, tap}, err
		}
	})
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == n })
	tap.mu.Lock()
	defer tap.mu.Unlock()
	with := 0
	for line := range strings.Lines(tap.said) {
		if strings.HasPrefix(line, "MAIL FROM:<") && strings.Contains(line, "> SIZE=") {
			with++
		}
	}

	if behind := strings.Count(tap.said, "\r\n.\r\nMAIL FROM:<"); with != n || behind == 0 {
		t.Errorf("%d of %d envelopes have a size, %d went ahead", with, n, behind)
	}
}

// tap is what was said to a server.
type tap struct {
	mu   sync.Mutex
	said string
}

type tapped struct {
	net.Conn
	t *tap
}

func (c *tapped) Write(p []byte) (int, error) {
	c.t.mu.Lock()
	c.t.said += string(p)
	c.t.mu.Unlock()
	return c.Conn.Write(p)
}

// Overlap is tried on one connection; the others send without until it is
// known to work: the next one's envelope goes when the body was answered.
func TestTheOthersSendWithoutOverlapWhileOneTries(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", 5)...)
	var asked sync.Map
	j := &scriptedServer{rcpt: func(to string) string { asked.Store(to, true); return "" }}
	b.stepByStep(j, b.supp, func(h *stepper) {
		h.deliver(t.Context()) // the second one's envelope is under way
		other := &stepper{fixture: b, w: h.w, a: h.a, d: h.w.newDelivery(h.a), r: h.r}
		other.deliver(t.Context())
		if _, early := asked.Load(b.to[3]); early || other.d.current == nil || other.d.next != nil {
			t.Errorf("%s, asked about it: %t; want the body alone, and then the next", other, early)
		}
		if diff := cmp.Diff(b.to[4:], h.waiting()); diff != "" {
			t.Errorf("waiting (-want +got):\n%s", diff)
		}
		h.deliver(t.Context())
		if h.d.current == nil {
			t.Errorf("%s: want an envelope under way", h)
		}
		other.deliver(t.Context())
		h.deliver(t.Context())
	}, func(cfg *Config) { cfg.Ways[0].Connections = 3 }) // one is left to other workers
	for to, cell := range b.cells() {
		if cell != "a1" {
			t.Errorf("%s: %s", to, cell)
		}
	}

	b.settledAll()
}
