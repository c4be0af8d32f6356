package sender

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign/ledger"
	"broadside/throttle"
)

// mail is recipients of runs in lanes, which tests name.
type mail struct {
	*lanes
	runs map[string]*run
}

// newMail returns lanes in which no one waits. Runs whose names begin with ! are of high
// priority.
func newMail(runs ...string) *mail {
	m := &mail{lanes: &lanes{connections: 8}, runs: map[string]*run{}}
	for _, name := range runs {
		m.runs[name] = &run{high: strings.HasPrefix(name, "!")}
	}
	return m
}

// wait lets n recipients of a run wait at a domain.
func (m *mail) wait(run, domain string, n int) {
	for i := range n {
		rcpt := at(m.runs[run], i, domain)
		m.of(rcpt).push(rcpt, false)
	}
}

// offer offers recipients of a run at a domain until one is not taken, and returns how
// many are.
func (m *mail) offer(run, domain string) int {
	for n := 0; ; n++ {
		if got := m.lanes.offer(noon, at(m.runs[run], n, domain), time.Time{}); !got.taken || n > 10*maxRoom {
			return n
		}
	}
}

// order takes all recipients that may go, and returns their runs.
func (m *mail) order(now time.Time) string {
	var order []string
	for {
		rcpt, _ := m.next(now, nil)
		if rcpt == nil {
			return strings.Join(order, " ")
		}
		for name, r := range m.runs {
			if r == rcpt.run {
				order = append(order, name)
			}
		}
	}
}

func TestHighPriorityGoesFirst(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fill func(*mail)
		want string
	}{
		{"in the lane", func(m *mail) {
			m.wait("a", "gmail.com", 2)
			m.wait("!x", "gmail.com", 2)
		}, "!x !x a a"},
		{"in another lane", func(m *mail) {
			m.wait("a", "gmail.com", 2)
			m.wait("a", "yahoo.com", 2)
			m.wait("!x", "yahoo.com", 3)
		}, "!x !x !x a a a a"},
		{"in the long tail", func(m *mail) {
			m.wait("a", "one.example", 1)
			m.wait("a", "two.example", 1)
			m.wait("!x", "two.example", 1)
		}, "!x a a"},
		{"and shares with others of its kind", func(m *mail) {
			m.wait("!x", "gmail.com", 3)
			m.wait("!y", "gmail.com", 2)
			m.wait("a", "gmail.com", 1)
		}, "!x !y !x !y !x a"},
		{"as others do", func(m *mail) {
			m.wait("a", "gmail.com", 4)
			m.wait("b", "gmail.com", 2)
		}, "a b a b a a"},
	} {
		m := newMail("a", "b", "!x", "!y")
		tt.fill(m)
		if got := m.order(noon); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if high, normal := m.lanes.waiting(noon, paceKey{}); high+normal != 0 || !m.empty() {
			t.Errorf("%s: %d of high priority and %d others still wait", tt.name, high, normal)
		}
	}
}

// A recipient that comes back because there was no slot has not used the turn of its run:
// however often that happens, and to which of them, each run has as many messages as the other.
func TestWhoComesBackHasNotUsedItsTurn(t *testing.T) {
	t.Parallel()
	for _, refused := range []int{1, 2, 3} {
		m := newMail("a", "b")
		m.wait("a", "gmail.com", 100)
		m.wait("b", "gmail.com", 100)
		sent := map[*run]int{}
		for round := range 60 {
			now := noon.Add(time.Duration(round) * time.Second)
			rcpt, _ := m.next(now, nil)
			sent[rcpt.run]++
			for range refused {
				if rcpt, _ := m.next(now, nil); rcpt != nil {
					m.putBack(rcpt, now.Add(time.Second))
				}
			}
		}
		if a, b := sent[m.runs["a"]], sent[m.runs["b"]]; a < 29 || a > 31 {
			t.Errorf("%d are refused after each message: %d of a and %d of b were sent", refused, a, b)
		}
	}
}

// Runs and lanes that share slots wait for the next one together. Otherwise those that looked
// first, which look again first, would have all slots of each reservation.
func TestWhoSharesSlotsWaitsForThemTogether(t *testing.T) {
	t.Parallel()
	m := newMail("a", "b", "rated", "!x")
	m.runs["rated"].rate = 5
	soon := noon.Add(time.Second)
	m.slotFrom = func(key paceKey) time.Time {
		if key == (paceKey{}) {
			return soon
		}
		return time.Time{}
	}
	for run := range m.runs {
		m.wait(run, "gmail.com", 2)
		m.wait(run, "yahoo.com", 1)
	}

	if got, want := m.order(noon), "rated rated rated"; got != want {
		t.Errorf("got %s, want %s: it has slots of its own", got, want)
	}
	if _, again := m.next(noon, nil); !again.Equal(soon) {
		t.Errorf("look again at %s, want when the slot is there", again)
	}
	if got, want := m.order(soon), "!x !x !x"; !strings.HasPrefix(got, want) || len(strings.Fields(got)) != 9 {
		t.Errorf("got %s, want %s and then all others", got, want)
	}
}

// While those of high priority wait for a slot, or in a lane that is paused, the others go.
func TestWhatCannotGoHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	m := newMail("a", "!x")
	m.wait("a", "gmail.com", 2)
	m.wait("a", "yahoo.com", 1)
	m.wait("!x", "gmail.com", 1)
	m.wait("!x", "yahoo.com", 1)
	m.byName["yahoo"].throttled = paused()
	slot := noon.Add(time.Second)
	m.byName["gmail"].high.runs[0].notBefore = slot

	if got, want := m.order(noon), "a a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, again := m.next(noon, nil); !again.Equal(slot) {
		t.Errorf("look again at %s, want when the slot is there", again)
	}
	if got, want := m.order(slot), "!x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A group that is full of one run takes as many of another as a feeder hands out at first,
// and of high priority as many as if nothing else waited.
func TestNoRunTakesAllOfTheRoom(t *testing.T) {
	t.Parallel()
	m := newMail("a", "b", "c", "!x", "!y")
	for _, tt := range []struct {
		run  string
		want int
	}{
		{"a", minRoom}, {"b", runRoom}, {"c", runRoom}, {"a", 0}, {"!x", minRoom}, {"!y", runRoom}, {"!x", 0}, {"b", 0},
	} {
		if got := m.offer(tt.run, "gmail.com"); got != tt.want {
			t.Errorf("%d of run %s are taken, want %d", got, tt.run, tt.want)
		}
	}
}

// However many runs there are, what waits is bounded, and a new run has a place.
func TestTheRoomOfAllRunsIsBounded(t *testing.T) {
	t.Parallel()
	const runs = 200
	m := newMail()
	for i := range runs {
		name := fmt.Sprint(i)
		m.runs[name] = &run{}
		if m.offer(name, "gmail.com") == 0 {
			t.Fatalf("run %d has no place", i)
		}
	}
	if size := m.byName["gmail"].size; size > 4*maxRoom {
		t.Errorf("%d recipients of %d runs wait", size, runs)
	}
}

// A lane with a low rate has few places. Runs share them, and those of high priority have
// as many for themselves.
func TestRunsShareTheRoomOfASlowLane(t *testing.T) {
	t.Parallel()
	m := newMail("a", "b", "!x")
	m.limits = map[string]LaneLimit{"gmail": {Rate: 2}}
	for _, tt := range []struct {
		run  string
		want int
	}{{"a", 20}, {"b", 10}, {"a", 0}, {"!x", 20}, {"b", 0}} {
		if got := m.offer(tt.run, "gmail.com"); got != tt.want {
			t.Errorf("%d of run %s are taken, want %d", got, tt.run, tt.want)
		}
	}

	// Who is sent away of one priority does not wait behind those of the other.
	bulk := m.lanes.offer(noon, at(m.runs["a"], 1000, "gmail.com"), time.Time{})
	high := m.lanes.offer(noon, at(m.runs["!x"], 1000, "gmail.com"), time.Time{})
	if bulk.taken || high.taken || high.wait >= bulk.wait {
		t.Errorf("sent away for %s, of high priority for %s", bulk.wait, high.wait)
	}
}

// What a lane that has become slow keeps is shared by the runs.
func TestASlowLaneKeepsSomeOfEachRun(t *testing.T) {
	t.Parallel()
	m := newMail("a", "b", "!x")
	m.wait("a", "other.example", 1)
	for run, n := range map[string]int{"a": 100, "b": 100, "!x": 5} {
		m.wait(run, "slow.example", n)
	}
	l := m.byName["slow.example"]
	l.enter(noon)
	l.transact(noon)
	l.leave(noon, noon.Add(2*time.Second)) // 0.5 a second, for 10 s

	out := map[*run]int{}
	for _, rcpt := range l.crowd(noon.Add(2 * time.Second)) {
		out[rcpt.run]++
	}
	want := map[*run]int{m.runs["a"]: 99, m.runs["b"]: 99}
	if len(out) != 2 || out[m.runs["a"]] != want[m.runs["a"]] || out[m.runs["b"]] != want[m.runs["b"]] {
		t.Errorf("sent away: %d of a, %d of b, %d of high priority; want 99, 99 and none", out[m.runs["a"]], out[m.runs["b"]], out[m.runs["!x"]])
	}
}

// Where those of high priority are too many by themselves, those of normal priority make
// room for them first, and a small run keeps what it has.
func TestASlowLaneKeepsHighPriorityFirst(t *testing.T) {
	t.Parallel()
	m := newMail("a", "!x", "!y")
	m.wait("a", "other.example", 1)
	for run, n := range map[string]int{"a": 4, "!x": 7, "!y": 1} {
		m.wait(run, "slow.example", n)
	}
	l := m.byName["slow.example"]
	l.enter(noon)
	l.transact(noon)
	l.leave(noon, noon.Add(2*time.Second)) // 0.5 a second, for 10 s: room for five

	out := map[*run]int{}
	for _, rcpt := range l.crowd(noon.Add(2 * time.Second)) {
		out[rcpt.run]++
	}
	if a, x, y := out[m.runs["a"]], out[m.runs["!x"]], out[m.runs["!y"]]; a != 3 || x != 3 || y != 0 {
		t.Errorf("sent away: %d of a, %d and %d of high priority; want 3, 3 and none", a, x, y)
	}
}

// Runs without a rate use the same slots: one that was reserved is taken by the one that goes
// next. A run with a rate has its own.
func TestRunsShareTheirSlots(t *testing.T) {
	t.Parallel()
	a := newAccount(&Config{Log: slog.New(slog.DiscardHandler)}, newLifetime(0, 0), AccountConfig{
		Name: "relay", Connections: 1, Rate: 100, Lanes: map[string]LaneLimit{"gmail": {Rate: 20}},
	})
	pace := func(r *run, domain string) *pace {
		rcpt := at(r, 0, domain)
		rcpt.lane = a.lanes.of(rcpt)
		return a.pace(noon, rcpt)
	}
	bulk := &run{handle: &ledger.Run{ID: "news-1"}}
	high := &run{handle: &ledger.Run{ID: "alert-1"}, high: true}
	rated := &run{handle: &ledger.Run{ID: "slow-1"}, rate: 5}
	for _, domain := range []string{"example.org", "gmail.com"} {
		if pace(bulk, domain) != pace(high, domain) {
			t.Errorf("%s: runs have slots of their own", domain)
		}
		if pace(rated, domain) == pace(bulk, domain) {
			t.Errorf("%s: a run with a rate has no slots of its own", domain)
		}
	}
	if diff := cmp.Diff([]throttle.Limit{{Campaign: "slow-1", Rate: 5}, {Account: "relay", Rate: 100}}, pace(rated, "yahoo.com").limits.Load().all); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}

	a.forget(rated)
	if len(a.paces) != 2 || len(a.retired) != 2 {
		t.Errorf("%d paces are left and %d retired, want those of all runs, and those of the run that is over", len(a.paces), len(a.retired))
	}
}

// A message that got no slot says so for all that share it, until a slot comes back.
func TestWhoGetsNoSlotSaysSo(t *testing.T) {
	t.Parallel()
	pacer := throttle.New(newRedis(t), "bs", redis.NewScript, nil)
	a := newAccount(&Config{Log: slog.New(slog.DiscardHandler), Pacer: pacer}, newLifetime(0, 0), AccountConfig{Name: "relay", Connections: 1, Rate: 0.5})
	rcpt := at(&run{handle: &ledger.Run{ID: "news-1"}}, 0, "example.org")
	rcpt.lane = a.lanes.of(rcpt)
	p := a.pace(time.Now(), rcpt)

	s, again, err := a.slot(t.Context(), p, false, false)
	if err != nil || s == nil || !a.slotFrom(p.key).IsZero() {
		t.Fatalf("got slot %v, again %s, error %v; the next from %s; want a slot, and nothing known of the next", s, again, err, a.slotFrom(p.key))
	}
	second, again, err := a.slot(t.Context(), p, false, false)
	if err != nil || second != nil || !again.After(time.Now()) {
		t.Fatalf("got slot %v, again %s, error %v, want none until later", second, again, err)
	}
	if from := a.slotFrom(p.key); !from.Equal(again) {
		t.Errorf("the next slot is from %s, want %s", from, again)
	}

	p.giveBack(time.Now(), s)
	if from := a.slotFrom(p.key); !from.IsZero() {
		t.Errorf("the next slot is from %s, although one has come back", from)
	}
}

// The slots of a domain that was slow go with its lane.
func TestSlotsGoWithTheirLane(t *testing.T) {
	t.Parallel()
	a := newAccount(&Config{Log: slog.New(slog.DiscardHandler)}, newLifetime(0, 0), AccountConfig{Name: "relay", Connections: 1})
	rcpt := at(&run{handle: &ledger.Run{ID: "news-1"}}, 0, "slow.example")
	rcpt.lane = a.lanes.of(rcpt)
	rcpt.lane.throttled = throttle.Lane{}.Slow(noon, throttle.Signal{Rate: 10})
	a.pace(noon, rcpt)
	if len(a.paces) != 1 {
		t.Fatalf("%d paces, want 1", len(a.paces))
	}

	rcpt.lane.throttled = throttle.Lane{}
	a.tidy(noon.Add(24 * time.Hour))
	if len(a.lanes.byName) != 0 || len(a.paces) != 0 || len(a.retired) != 1 {
		t.Errorf("%d lanes and %d paces are left, %d are retired", len(a.lanes.byName), len(a.paces), len(a.retired))
	}
}
