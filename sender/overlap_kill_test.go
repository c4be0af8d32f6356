package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/crash"
	"broadside/internal/queue"
	"broadside/internal/testkit"
)

// A hand is what the goroutine of one connection has, step by step.
type hand struct {
	*fixture
	w *Worker
	a *account
	d *delivery
	r *run

	dialled func() // when the next connection is opened; nil: nothing
}

// byHand lets drive deliver to j, while all recipients wait
// in their lane.
func (b *fixture) byHand(j *judge, supp ledger.Suppressions, drive func(*hand), more ...func(*Config)) {
	b.t.Helper()
	j.listen(b.t)
	h := &hand{fixture: b}
	more = append(more, func(cfg *Config) {
		dial := cfg.Ways[0].SMTP.Dial
		cfg.Ways[0].SMTP.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if h.dialled != nil {
				h.dialled()
				h.dialled = nil
			}
			return dial(ctx, network, addr)
		}
		h.w = New(*cfg)
		cfg.Tasks = func(ctx context.Context, _ func(context.Context, queue.Task)) error {
			<-ctx.Done()
			return nil
		}
	})
	b.toServer(j.l.Addr().String(), 3, more...) // a worker that has just begun leaves one for another
	b.work(supp, func(campaign.Counts) bool {
		h.a = h.w.accounts["sink"]
		h.d = &delivery{a: h.a}
		for i := range b.to {
			h.w.handle(b.t.Context(), queue.Task{Run: "news-1", Index: i})
		}
		var err error
		if h.r, err = h.w.runs.get(b.t.Context(), "news-1"); err != nil {
			b.t.Fatal(err)
		}
		defer func() {
			if h.d.conn != nil {
				h.d.discard()
			}
			if err := h.a.pool.Close(context.WithoutCancel(b.t.Context())); err != nil {
				b.t.Error(err)
			}
		}()
		drive(h)
		if err := h.w.returns.flush(b.t.Context()); err != nil {
			b.t.Error(err)
		}
		return true
	})
}

// deliver takes the next recipient to its end, as serve does.
func (h *hand) deliver(ctx context.Context) {
	h.t.Helper()
	if h.d.job == nil {
		it, _ := h.a.pop(time.Now())
		if it == nil {
			h.t.Fatal("nobody waits")
		}
		h.d.begin(it)
	}
	h.d.deliver(ctx, h.t.Context())
}

// waiting returns who waits in the lane.
func (h *hand) waiting() (out []string) {
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	for _, l := range h.a.lanes {
		for _, q := range l.runs {
			for _, it := range q.items {
				out = append(out, it.row.Address.String())
			}
		}
	}
	return out
}

// String says what the connection has to do.
func (h *hand) String() string {
	of := func(j *job) string {
		if j == nil {
			return "nobody"
		}
		return j.it.row.Address.String()
	}
	return fmt.Sprintf("job %s, next %s, unrecorded %t, recording %t, connected %t; %q wait",
		of(h.d.job), of(h.d.next), h.d.unrecorded != nil, h.d.recording != nil, h.d.conn != nil, h.waiting())
}

// expectInHand checks that the worker holds those who wait and nobody else.
func (h *hand) expectInHand() {
	h.t.Helper()
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if waiting := h.waiting(); len(h.w.inHand) != len(waiting) {
		h.t.Errorf("%d recipients are in hand, %q wait", len(h.w.inHand), waiting)
	}
}

// expectOpen checks how many connections are open.
func (h *hand) expectOpen(want int) {
	h.t.Helper()
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	if h.a.open != want {
		h.t.Errorf("%d connections are open, want %d", h.a.open, want)
	}
}

// slots sets a limit as soon as the first recipient has got a connection
// without one: the next has a slot after a time, and its envelope may go early
// before.
func (h *hand) slots(after, early time.Duration) (next time.Time) {
	next = time.Now().Add(after)
	h.dialled = func() {
		p := h.a.pace(h.r)
		p.limits[0].Rate, p.lead, p.spread, p.slots = 1, 0, early/2, []time.Time{next}
	}
	return next
}

// expectSlots compares the slots that are left.
func (h *hand) expectSlots(want ...time.Time) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.a.pace(h.r).slots); diff != "" {
		h.t.Errorf("slots (-want +got):\n%s", diff)
	}
}

// A twin is another worker.
func (b *fixture) twin() *ledger.Line {
	line := b.ledger.Line(b.rdb, b.supp)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- line.Run(ctx) }()
	b.t.Cleanup(func() { stop(); <-ended })
	return line
}

// settleAs lets a twin be done with a recipient.
func (b *fixture) settleAs(twin *ledger.Line, index int) {
	ref := ledger.Ref{Run: b.run, Index: index}
	if c, err := twin.Claim(context.Background(), ref, "twin.1", ledger.Person{Topic: "news"}); err != nil || !c.Held {
		b.t.Errorf("twin's claim: %+v, %v", c, err)
	}
	if _, err := twin.Settle(context.Background(), ref, "twin.1", ledger.Outcome{State: campaign.Accepted}); err != nil {
		b.t.Error(err)
	}
}

// Whatever keeps the next recipient from a body, its slot is for another, and it
// waits on unless something became of it.
func TestASlotThatIsNotUsedIsGivenBack(t *testing.T) {
	t.Parallel()
	const ada, next = "ada@example.org", "next@example.org"
	for _, tt := range []struct {
		name           string
		rcpt, dot      string // what the server says to next's RCPT, to ada's message
		suppressed     bool   // says the claim
		twin           int    // who was sent to by another worker, after the look: 1 is ada, 2 next
		steps          int
		adas, nexts    string // cells
		waiting, ahead bool   // afterwards: next waits; the server may have been asked about it
	}{
		{name: "refused", rcpt: "550 5.7.1 not for you", steps: 2, adas: "a1", nexts: "f1", ahead: true},
		{name: "the connection has had enough", dot: "421 4.3.2 going down", steps: 1, adas: "-0", nexts: "-0", waiting: true},
		{name: "the connection takes no more messages", dot: "452 4.5.3 too many messages in this session", steps: 1, adas: "-0", nexts: "-0", waiting: true, ahead: true},
		{name: "the server does not follow", dot: "550 5.5.0 improper command pipelining", steps: 1, adas: "-0", nexts: "-0", waiting: true, ahead: true},
		{name: "the one before is suppressed", suppressed: true, steps: 1, adas: "x0", nexts: "-0", waiting: true},
		{name: "the one before has a twin", twin: 1, steps: 1, adas: "a1", nexts: "-0", waiting: true},
		{name: "it has a twin", twin: 2, steps: 1, adas: "a1", nexts: "a1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, ada, next)
			twin := b.twin()
			var asked sync.Map
			j := &judge{dot: func(string) string { return tt.dot }, rcpt: func(to string) string {
				asked.Store(to, true)
				if to == next {
					return tt.rcpt
				}
				if tt.twin > 0 {
					b.settleAs(twin, tt.twin-1)
				}
				return ""
			}}
			b.byHand(j, &looks{answer: func(int64) bool { return tt.suppressed }}, func(h *hand) {
				slot := h.slots(30*time.Second, time.Hour)
				for range tt.steps {
					h.deliver(t.Context())
				}
				h.expectSlots(slot)
				if full := h.r.fullLooks.Load() > 0; full != tt.suppressed {
					t.Errorf("looks ask for suppressions: %t", full)
				}
				if got := len(h.waiting()) == 1; got != tt.waiting || h.d.job != nil || h.d.next != nil || h.d.unrecorded != nil || h.d.conn != nil {
					t.Error(h)
				}
				h.expectInHand()
			})
			want := map[string]string{ada: tt.adas, next: tt.nexts}
			if diff := cmp.Diff(want, b.cells()); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			b.settledAll()
			if _, got := asked.Load(next); got && !tt.ahead {
				t.Error("the server was asked about next")
			}
		})
	}
}

// What is known of a message is told without another one to claim: after a
// refusal of the next, at the end of the work, and before a wait for a slot.
func TestWhatIsOwedIsToldWithoutAClaim(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		rcpt  string // what the server says to next
		stop  bool   // before next's body
		cells string // of next
		open  int    // connections, afterwards
	}{
		{name: "next is refused", rcpt: "550 5.7.1 not for you", cells: "f1", open: 1},
		{name: "next is deferred", rcpt: "450 4.2.1 busy", cells: "d1", open: 1},
		{name: "next ends the connection", rcpt: "421 4.3.2 going down", cells: "-0"},
		{name: "the work ends", stop: true, cells: "-0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const ada, next = "ada@example.org", "next@example.org"
			b := newFixture(t, ada, next)
			b.issue()
			j := &judge{rcpt: func(to string) string {
				if to == next {
					return tt.rcpt
				}
				return ""
			}}
			b.byHand(j, b.supp, func(h *hand) {
				h.deliver(t.Context())
				if h.d.unrecorded == nil || h.d.job == nil || h.d.job.it.row.Address.String() != next {
					t.Fatalf("%s: want next's envelope under way, and ada's outcome unrecorded", h)
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				if tt.stop {
					stop()
				}
				h.deliver(ctx)
				if h.d.asking <= 0 {
					t.Error("nobody knows how long a claim takes")
				}
				if h.d.unrecorded != nil || h.d.recording != nil || h.d.job != nil || h.d.conn != nil {
					t.Error(h)
				}
				h.expectOpen(tt.open)
				h.expectInHand()
			})
			want := map[string]string{ada: "a1", next: tt.cells}
			if diff := cmp.Diff(want, b.cells()); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			b.settledAll()
			if diff := cmp.Diff(map[string]int{ada: 1}, j.took()); diff != "" {
				t.Errorf("messages taken (-want +got):\n%s", diff)
			}
		})
	}
}

// A slot that is far needs no envelope yet: who has it waits in the lane until
// it is near, and the body goes alone.
func TestAnEnvelopeDoesNotGoLongBeforeItsSlot(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	b.byHand(&judge{}, b.supp, func(h *hand) {
		slot := h.slots(30*time.Minute, time.Minute)
		h.deliver(t.Context())
		h.expectSlots(slot)
		if waiting := h.waiting(); len(waiting) != 1 || h.d.job != nil {
			t.Fatal(h)
		}
		if got := h.a.lanes[0].runs[0].notBefore; !got.Equal(slot.Add(-time.Minute)) {
			t.Errorf("the next is looked at %s before its slot, want 1m", slot.Sub(got))
		}
		h.expectInHand()
	})
	b.settledAll()
}

// Who is picked and whose message cannot be made goes back to its lane, and fails
// alone in its turn; the body before goes without an envelope behind it.
func TestANextWhoseMessageCannotBeMade(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	j := &judge{}
	b.byHand(j, b.supp, func(h *hand) {
		slot := h.slots(30*time.Second, time.Hour)
		h.r.composer.snapshot.Origin = "news-0" // in which only ada has a place
		ada := h.a.lanes[0].runs[0].items[0]
		ada.row.Values = append(ada.row.Values, campaign.Origin{}.String())
		h.deliver(t.Context())
		h.expectSlots(slot)
		if h.d.job != nil || h.d.next != nil || len(h.waiting()) != 1 {
			t.Error(h)
		}
		h.deliver(t.Context())
		h.expectInHand()
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
	j := &judge{} // it offers no SMTPUTF8
	b.byHand(j, b.supp, func(h *hand) {
		slot := h.slots(30*time.Second, time.Hour)
		h.deliver(t.Context())
		h.expectSlots(slot)
		if len(h.waiting()) != 1 || h.d.job != nil || h.d.next != nil {
			t.Fatal(h)
		}
		h.expectOpen(1)
		h.deliver(t.Context())
		h.expectSlots(slot)
		h.expectInHand()
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

// asked is told of each claim, right before it goes to Redis.
type asked func()

func (a asked) Queue(context.Context, redis.Pipeliner, string, [16]byte) func() (bool, error) {
	a()
	return func() (bool, error) { return false, nil }
}

// Before the slot of the next one has come, the outcome is recorded and nobody is
// claimed; how long a message takes is known afterwards.
func TestNobodyIsClaimedLongBeforeTheSlot(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	var slot time.Time
	var asking time.Duration
	claims := 0
	l := asked(func() {
		if slot.IsZero() {
			return // it is the first
		}
		claims++
		if early := time.Until(slot); early > asking {
			t.Errorf("claimed %s before the slot, a claim takes %s", early, asking)
		}
		cells, err := b.ledger.Page(context.Background(), b.run, 0, 0)
		if err != nil || cells[0].State != campaign.Accepted {
			t.Errorf("the one before: %+v, %v", cells, err)
		}
	})
	b.byHand(&judge{}, l, func(h *hand) {
		h.slots(2*time.Second, time.Hour)
		h.deliver(t.Context())
		if h.d.unrecorded == nil || h.d.job == nil {
			t.Fatalf("%s: want an envelope under way", h)
		}
		slot, asking = h.d.job.slot, h.d.asking
		h.deliver(t.Context())
		if claims != 1 {
			t.Errorf("%d claims of the second, want 1", claims)
		}
		if each := h.a.pace(h.r).each; each <= 0 || each > time.Hour {
			t.Errorf("a message takes %s", each)
		}
	})
	b.settledAll()
}

// Overlap is tried on one connection; the others send without until it is
// known to work: the next one's envelope goes when the body was answered.
func TestTheOthersSendWithoutOverlapWhileOneTries(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", 5)...)
	var asked sync.Map
	j := &judge{rcpt: func(to string) string { asked.Store(to, true); return "" }}
	b.byHand(j, b.supp, func(h *hand) {
		h.deliver(t.Context()) // the second one's envelope is under way
		other := &hand{fixture: b, w: h.w, a: h.a, d: &delivery{a: h.a}, r: h.r}
		other.deliver(t.Context())
		if _, early := asked.Load(b.to[3]); early || other.d.job == nil || other.d.next != nil {
			t.Errorf("%s, asked about it: %t; want the body alone, and then the next", other, early)
		}
		if diff := cmp.Diff(b.to[4:], h.waiting()); diff != "" {
			t.Errorf("waiting (-want +got):\n%s", diff)
		}
		h.deliver(t.Context())
		if h.d.job == nil {
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

// Claims that are not allowed any more, since Redis is another, are not asked
// for or not used, and the envelope that waits comes to nothing.
func TestAnotherRedisKeepsTheBodyBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		claims int64
	}{{"before the claim", 0}, {"with the claim", 1}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, "ada@example.org", "next@example.org")
			b.issue()
			var member *ledger.Member
			other := func() {
				if err := member.Admit("two"); !errors.Is(err, ledger.ErrNotReplayed) {
					t.Errorf("another Redis: %v", err)
				}
			}
			j, l := &judge{}, &looks{answer: func(int64) bool { return false }}
			if tt.claims == 0 {
				j.rcpt = func(string) string { other(); return "" }
			} else {
				l.answer = func(int64) bool { other(); return false }
			}
			b.byHand(j, l, func(h *hand) {
				h.deliver(t.Context())
				if h.d.job != nil || h.d.next != nil || h.d.conn != nil {
					t.Error(h)
				}
				h.expectInHand()
				if n := l.n.Load(); n != tt.claims {
					t.Errorf("%d claims, want %d", n, tt.claims)
				}
			}, func(cfg *Config) { member = cfg.Member })
			if cell := b.cells()["ada@example.org"]; cell != "-0" {
				t.Errorf("cell %s, want it pending", cell)
			}
			if took := j.took(); len(took) > 0 {
				t.Errorf("messages taken: %v", took)
			}
			b.settledAll()
		})
	}
}

// A claim that is refused since the run stands still lets go of all that wait
// for the run, the picked one among them.
func TestARefusedClaimOfAPausedRunLetsGoOfAll(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", 4)...)
	b.issue()
	j := &judge{rcpt: func(string) string {
		if ok, err := b.ledger.PauseFor(context.Background(), "news-1", campaign.CodeContent, "test"); err != nil || !ok {
			t.Errorf("pause: %t, %v", ok, err)
		}
		return ""
	}}
	b.byHand(j, b.supp, func(h *hand) {
		h.deliver(t.Context())
		if waiting := h.waiting(); len(waiting) > 0 || h.d.job != nil || h.d.next != nil || h.r.running.Load() {
			t.Errorf("%s; running %t", h, h.r.running.Load())
		}
		h.expectInHand()
	})
	for to, cell := range b.cells() {
		if cell != "-0" {
			t.Errorf("%s: %s, want pending", to, cell)
		}
	}
	b.settledAll()
}

// An account that had trouble is open again as soon as its server takes an
// envelope or refuses one for the recipient's own sake.
func TestAnAnswerOpensTheAccountAgain(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"", "550 5.7.1 not for you"} {
		b := newFixture(t, "ada@example.org", "next@example.org")
		b.byHand(&judge{rcpt: func(string) string { return refusal }}, b.supp, func(h *hand) {
			l := h.a.lanes[0]
			h.a.breaker.failures = 1 // as closings do
			l.breaker.failures = 1
			h.deliver(t.Context())
			if h.a.breaker.failures != 0 {
				t.Errorf("%q: %d failures of the account, want none", refusal, h.a.breaker.failures)
			}
			if opened := l.breaker.failures == 0; opened != (refusal == "") || l.measured.IsZero() {
				t.Errorf("%q: %d failures of the lane, pace measured since %s", refusal, l.breaker.failures, l.measured)
			}
		})
	}
}

// What a server says after the body is heeded with another envelope under way,
// as it is without.
func TestAReplyToTheBodyIsHeededUnderOverlap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, dot, cell    string
		suppressed, closed bool // the address; the account
	}{
		{name: "unknown", dot: "550 5.1.1 no such user", cell: "b1", suppressed: true},
		{name: "refused", dot: "554 5.7.1 policy", cell: "f1"},
		{name: "not logged in", dot: "530 5.7.0 authentication required", cell: "-0", closed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, people("p", 3)...)
			b.issue()
			b.byHand(&judge{dot: func(string) string { return tt.dot }}, b.supp, func(h *hand) {
				h.deliver(t.Context())
				if h.d.unrecorded == nil || h.d.job == nil {
					t.Fatalf("%s: want an envelope under way", h)
				}
				h.deliver(t.Context())
				if closed := h.a.breaker.closedUntil.After(time.Now()); closed != tt.closed || closed && len(h.waiting()) > 0 {
					t.Errorf("%s; closed %t, want %t", h, closed, tt.closed)
				}
				if h.d.job != nil {
					h.deliver(t.Context())
				}
			})
			cells := b.cells()
			for _, to := range b.to[:2] {
				if cells[to] != tt.cell {
					t.Errorf("%s: %s, want %s", to, cells[to], tt.cell)
				}
				found, err := b.supp.Check(t.Context(), to)
				if err != nil || len(found) != 1 || found[0].Suppressed != tt.suppressed {
					t.Errorf("%s: suppression %+v, %v", to, found, err)
				}
			}
			b.settledAll()
		})
	}
}

// A fault at one recipient does not keep the outcome of the one before.
func TestAPanicKeepsWhatIsOwed(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", 3)...)
	b.issue()
	b.byHand(&judge{}, b.supp, func(h *hand) {
		h.deliver(t.Context())
		if h.d.unrecorded == nil || h.d.job == nil {
			t.Fatalf("%s: want an envelope under way", h)
		}
		h.d.rescue(t.Context(), t.Context(), h.d.job, &crash.Fault{Place: "here", Text: "x"})
		if h.d.unrecorded != nil || h.d.job != nil || h.d.conn != nil {
			t.Error(h)
		}
		h.expectOpen(0)
		h.expectInHand()
	})
	want := map[string]string{b.to[0]: "a1", b.to[1]: "f1", b.to[2]: "i0"}
	if diff := cmp.Diff(want, b.cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	b.settledAll()
}

// A recipient for whom one connection after the other has had enough is not
// tried at once for ever.
func TestAtOnceIsNotForEver(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	b.issue()
	b.byHand(&judge{rcpt: func(string) string { return "421 4.7.0 too many messages in this session" }}, b.supp, func(h *hand) {
		n := 0
		for ; n < 2*maxTries && len(h.waiting()) > 0; n++ {
			h.deliver(t.Context())
		}
		if n != maxTries+1 || h.a.lanes[0].breaker.closed(time.Now()) {
			t.Errorf("tried %d times, then the lane is closed until %s; want %d, and the lane open", n, h.a.lanes[0].breaker.closedUntil, maxTries+1)
		}
		h.expectInHand()
	})
	if cell := b.cells()["ada@example.org"]; cell != "-0" {
		t.Errorf("cell %s, want it pending", cell)
	}
}

// A limit of messages that a server names without closing is one of this
// connection: another takes the recipient, and the lane stays open.
func TestAConnectionThatHasHadEnoughIsReplaced(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	var mu sync.Mutex
	refusals := 0
	j := &judge{}
	j.rcpt = func(to string) string {
		j.mu.Lock()
		conns := len(j.conns)
		j.mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		if to == "next@example.org" && conns == 1 {
			refusals++
			return "452 4.5.3 too many messages in this session"
		}
		return ""
	}
	b.byHand(j, b.supp, func(h *hand) {
		for range 3 { // ada, next, next again
			h.deliver(t.Context())
		}
		if shut := h.a.lanes[0].breaker.closedUntil; !shut.IsZero() {
			t.Errorf("the lane is closed until %s", shut)
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if refusals != 1 {
		t.Errorf("asked %d times over the same connection", refusals)
	}
	for to, cell := range b.cells() {
		if cell != "a1" {
			t.Errorf("%s: %s", to, cell)
		}
	}
	b.settledAll()
}

// A row of failures pauses the run under overlap as it does without.
func TestARowOfFailuresUnderOverlapPausesTheRun(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", sameFailures+10)...)
	j := &judge{dot: func(string) string { return "554 5.7.1 policy" }}
	j.listen(t)
	b.toServer(j.l.Addr().String(), 1)
	b.work(b.supp, func(campaign.Counts) bool {
		rec, err := b.ledger.Record(t.Context(), "news-1")
		if err != nil {
			t.Fatal(err)
		}
		return rec.State == campaign.Paused
	})
	for to, cell := range b.cells() {
		if cell != "-0" {
			t.Errorf("%s: %s, want it pending: what stopped the run ends no recipient", to, cell)
		}
	}
	b.settledAll()
}

// torn lets the next pipelines of a Redis client fail; true: after they were
// carried out.
type torn struct {
	mu       sync.Mutex
	fail     []bool
	pipeline int
}

var errTorn = errors.New("connection torn by the test")

func (f *torn) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (f *torn) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (f *torn) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		f.mu.Lock()
		f.pipeline++
		if len(f.fail) == 0 {
			f.mu.Unlock()
			return next(ctx, cmds)
		}
		carried := f.fail[0]
		f.fail = f.fail[1:]
		f.mu.Unlock()
		if carried {
			if err := next(ctx, cmds); err != nil {
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(errTorn)
		}
		return errTorn
	}
}

// When the round trip fails that tells the outcome of one message and claims
// the next, whether it was carried out or not, the outcome is told again and
// the claim is released. The same goes for an outcome that was recorded by itself.
func TestATornStepLosesNothing(t *testing.T) {
	t.Parallel()
	for _, carried := range []bool{false, true} {
		for _, alone := range []bool{false, true} {
			t.Run("carried out "+strconv.FormatBool(carried)+", recorded alone "+strconv.FormatBool(alone), func(t *testing.T) {
				t.Parallel()
				b := newFixture(t, "ada@example.org", "next@example.org")
				b.issue()
				f := &torn{}
				rdb := redis.NewClient(b.rdb.Options())
				defer rdb.Close()
				rdb.AddHook(f)
				j := &judge{}
				b.byHand(j, b.supp, func(h *hand) {
					h.deliver(t.Context())
					f.mu.Lock()
					f.fail, f.pipeline = []bool{carried}, 0
					f.mu.Unlock()
					if alone {
						h.d.startRecording(t.Context())
						h.d.startRecording(t.Context())
						h.d.awaitRecording(t.Context())
						if f.pipeline != 2 || h.d.unrecorded != nil || h.d.recording != nil {
							t.Errorf("%d times at Redis, want two; %s", f.pipeline, h)
						}
					}
					h.deliver(t.Context())
					if h.d.unrecorded != nil || h.d.job != nil || h.d.conn != nil {
						t.Error(h)
					}
					h.expectInHand()
				}, func(cfg *Config) {
					line := b.ledger.Line(rdb, b.supp)
					ctx, stop := context.WithCancel(context.Background())
					ended := make(chan error, 1)
					go func() { ended <- line.Run(ctx) }()
					t.Cleanup(func() { stop(); <-ended })
					cfg.Line = line
				})
				want, taken := map[string]string{"ada@example.org": "a1", "next@example.org": "-0"}, map[string]int{"ada@example.org": 1}
				if alone {
					want["next@example.org"], taken["next@example.org"] = "a1", 1
				}
				if diff := cmp.Diff(want, b.cells()); diff != "" {
					t.Errorf("cells (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(taken, j.took()); diff != "" {
					t.Errorf("messages taken (-want +got):\n%s", diff)
				}
				b.settledAll()
			})
		}
	}
}

// A body leaves at its slot or at most lateSlot after it, within the life of
// its claim. The time that the next one waits for it is no time of its own.
func TestTheGate(t *testing.T) {
	t.Parallel()
	const s, ms = time.Second, time.Millisecond
	for _, tt := range []struct {
		name  string
		slot  time.Duration   // from now; 0: none is needed
		asked time.Duration   // since the claim was asked for
		more  []time.Duration // slots at hand
		again time.Duration   // when slots are to be had again; they are at hand then
		stop  time.Duration   // when the work ends; 0: not
		want  bool
		took  time.Duration
	}{
		{name: "no limit", want: true},
		{name: "no limit, at the end of the work", stop: -s},
		{name: "soon", slot: 50 * ms, want: true, took: 50 * ms},
		{name: "just in time", slot: -lateSlot, want: true},
		{name: "missed", slot: -lateSlot - ms, more: []time.Duration{3 * s}, want: true, took: 3 * s},
		{name: "missed, and no other before the claim is too old", slot: -lateSlot - ms, again: claimLife + s},
		{name: "missed, another in a while", slot: -lateSlot - ms, again: 2 * s, more: []time.Duration{2 * s}, want: true, took: 2 * s},
		{name: "the work ends meanwhile", slot: 5 * s, stop: 2 * s, took: 2 * s},
		{name: "the work ends before another slot", slot: -lateSlot - ms, again: 5 * s, stop: 2 * s, took: 2 * s},
		{name: "the claim is too old", slot: 0, asked: claimLife},
		{name: "the claim is too old then", slot: 9 * s, asked: 2 * s, took: 9 * s},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(&Worker{cfg: Config{Log: slog.New(slog.DiscardHandler)}}, AccountConfig{Name: "relay", Connections: 1, Rate: 2})
				r := &run{handle: &ledger.Run{ID: "news-1"}}
				d := &delivery{a: a}
				now := time.Now()
				it := &item{run: r}
				d.begin(it)
				j := d.job
				d.next = d.other()
				d.reset(d.next, it)
				j.pace.lead = 0
				if tt.slot != 0 {
					j.slot = now.Add(tt.slot)
				}
				var more []time.Time
				for _, at := range tt.more {
					more = append(more, now.Add(at))
				}
				if j.pace.slots = more; tt.again > 0 {
					j.pace.slots, j.pace.again = nil, now.Add(tt.again)
					time.AfterFunc(tt.again-ms, func() {
						j.pace.mu.Lock()
						defer j.pace.mu.Unlock()
						j.pace.slots = more
					})
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				if tt.stop > 0 {
					time.AfterFunc(tt.stop, stop)
				} else if tt.stop < 0 {
					stop()
				}
				if got := d.gate(ctx, j, now.Add(-tt.asked)); got != tt.want || time.Since(now) != tt.took {
					t.Errorf("%t after %s, want %t after %s", got, time.Since(now), tt.want, tt.took)
				}
				if waited := d.next.taken.Sub(now); waited != tt.took {
					t.Errorf("the next one is taken to have waited %s for it, want %s", waited, tt.took)
				}
			})
		})
	}
}
