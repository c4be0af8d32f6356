package sender

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
	"broadside/throttle"
)

// noon is when these tests take place.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at returns a recipient of a run at a domain.
func at(r *run, index int, domain string) *recipient {
	return &recipient{
		run: r, ref: ledger.Ref{Part: campaign.PartOf(domain), Index: index},
		row: audience.Row{Address: address.Address{Local: "p", Domain: domain}},
	}
}

// paused returns the state of a lane that is paused from noon.
func paused() throttle.Lane {
	return throttle.Lane{}.Slow(noon, throttle.Signal{Rate: 10, Block: true, Code: "BS-LANE-PAUSED"})
}

// TestAClosedAccountIsProbedByOneConnection: what was taken before the account
// closed ends no probe when it is over, nor does a probe that was put back.
func TestAClosedAccountIsProbedByOneConnection(t *testing.T) {
	t.Parallel()
	ls, r := &lanes{}, &run{}
	for i := range 4 {
		ls.putBack(at(r, i, "example.org"), time.Time{})
	}

	l := ls.of(at(r, 0, "example.org"))
	take := func(want bool) probe {
		t.Helper()
		rcpt, _ := ls.next(noon, nil)
		if (rcpt != nil) != want {
			t.Fatalf("took a recipient: %v, want %v", rcpt != nil, want)
		}
		if rcpt == nil {
			return probe{}
		}
		return rcpt.probe
	}
	before := take(true)
	ls.breaker.failures = 1 // as close does
	first := take(true)
	if before.account != 0 || first.account == 0 {
		t.Fatalf("probes %d and %d, want the second to be one", before, first)
	}

	if ahead, _ := ls.next(noon, l); ahead != nil {
		t.Error("a recipient in addition to the probe, for a connection that has one")
	}

	ls.probed(before, l)
	take(false) // the probe is under way
	ls.probed(first, l)
	second := take(true)
	ls.probed(first, l)
	take(false) // the second probe is under way
	ls.probed(second, l)
	ls.breaker.failures = 0 // as works does
	if take(true) != (probe{}) {
		t.Error("a probe of an account that works")
	}
}

// A lane that was paused is probed by one message at a time, and the others go on
// as ever.
func TestALaneIsProbedByItself(t *testing.T) {
	t.Parallel()
	ls, r := &lanes{}, &run{}
	for _, domain := range []string{"gmail.com", "example.org"} {
		for i := range 3 {
			ls.putBack(at(r, i, domain), time.Time{})
		}
	}

	gmail := ls.byName["gmail"]
	gmail.throttled = paused()
	taken := func(now time.Time) (parts [2]int) {
		for {
			rcpt, _ := ls.next(now, nil)
			if rcpt == nil {
				return parts
			}
			parts[rcpt.ref.Part]++
		}
	}
	if got := taken(noon); got != [2]int{3, 0} {
		t.Errorf("took %v during the pause, want all of the other lane", got)
	}
	after := gmail.throttled.Until
	if got := taken(after); got != [2]int{0, 1} {
		t.Errorf("took %v after the pause, want one probe", got)
	}
	if rcpt, _ := ls.next(after, gmail); rcpt != nil {
		t.Errorf("took %v of a lane that is being probed", rcpt.ref)
	}
}

// A domain of the long tail has a lane of its own: when it pauses, its neighbours
// go on.
func TestADomainOfTheLongTailPausesAlone(t *testing.T) {
	t.Parallel()
	ls, r := &lanes{}, &run{}
	for i := range 30 {
		ls.putBack(at(r, i, fmt.Sprintf("d%d.example", i%3)), time.Time{})
	}
	ls.byName["d1.example"].throttled = paused()

	taken := map[string]int{}
	for {
		rcpt, _ := ls.next(noon, nil)
		if rcpt == nil {
			break
		}
		taken[rcpt.lane.name]++
	}
	if taken["d0.example"] != 10 || taken["d1.example"] != 0 || taken["d2.example"] != 10 {
		t.Errorf("took %v", taken)
	}
	if until := ls.shutUntil(noon, campaign.Other); !until.IsZero() {
		t.Errorf("the whole long tail is shut until %s", until)
	}
}

// A reply about a lane or an account counts when a second recipient gets it; the
// recipient waits, and is charged the third time.
func TestOneRecipientClosesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		reply   reply.Reply
		account bool
	}{
		{"lane: busy", reply.New(reply.Rcpt, 421, "4.3.2 try later"), false},
		{"lane: block list", reply.New(reply.Dot, 554, "5.7.1 Client host blocked using zen.spamhaus.org"), false},
		{"lane: no reply of SMTP", reply.New(reply.Rcpt, 399, "what"), false},
		{"account: relaying", reply.New(reply.Rcpt, 554, "5.7.1 Relay access denied"), true},
		{"account: login", reply.New(reply.Mail, 530, "5.7.0 authentication required"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ls, r := &lanes{}, &run{}
			d := reply.Classify(tt.reply)
			ada, bob, carl := at(r, 1, "gmail.com"), at(r, 2, "gmail.com"), at(r, 4, "gmail.com")
			for n, want := range []string{"-10s", "-20s", "d0s", "-10s"} {
				s := ls.setBack(noon, ada, d, false, tt.reply)
				got := s.outcome.State.String()[:1] + s.outcome.Delay.String()
				if got != map[byte]string{'-': "p" + want[1:], 'd': want}[want[0]] || s.closing != nil || s.slow != nil {
					t.Errorf("time %d: got %s, %+v; want %s alone", n+1, got, s, want)
				}
			}

			s := ls.setBack(noon, bob, d, false, tt.reply)
			if (s.closing != nil) != tt.account || (s.slow != nil) == tt.account {
				t.Fatalf("a second recipient: %+v", s)
			}
			if !tt.account {
				return
			}
			// Whatever was under way in the meantime waits as long, and closes nothing more.
			later := ls.setBack(noon, carl, d, false, tt.reply)
			if later.closing != nil || later.outcome.Delay <= 0 || later.outcome.Delay > s.closing.pause {
				t.Errorf("a third one: %+v", later)
			}
		})
	}
}

// Two recipients who are refused far apart, with others accepted between them, are
// two of their own kind, and nothing that is about the lane.
func TestASuspicionEnds(t *testing.T) {
	t.Parallel()
	busy := reply.New(reply.Rcpt, 421, "4.3.2 try later")
	d := reply.Classify(busy)
	for _, tt := range []struct {
		name     string
		accepted int
		after    time.Duration
		slow     bool
	}{
		{"at once", 0, 0, true},
		{"a few later", suspicionOutcomes, 0, true},
		{"many later", suspicionOutcomes + 1, 0, false},
		{"long after", 0, suspicionTime + 1, false},
	} {
		ls, r := &lanes{}, &run{}
		ls.setBack(noon, at(r, 1, "gmail.com"), d, false, busy)
		for range tt.accepted {
			ls.answered(noon, ls.byName["gmail"], true, false)
		}
		if s := ls.setBack(noon.Add(tt.after), at(r, 2, "gmail.com"), d, false, busy); (s.slow != nil) != tt.slow {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
}

// Connections that a server drops at the same moment are one signal, not nine.
func TestConnectionsThatFailTogetherSlowALaneOnce(t *testing.T) {
	t.Parallel()
	ls, r := &lanes{}, &run{}
	lost := reply.Lost(reply.Mail, reply.EOF, "EOF")
	d := reply.Classify(lost)
	signals := 0
	for i := range 9 {
		if s := ls.setBack(noon, at(r, i, "gmail.com"), d, false, lost); s.slow != nil {
			signals++
		}
	}
	if signals != 1 {
		t.Errorf("%d signals, want one", signals)
	}
}

// What is remembered of recipients that were set back has an end; beyond it they
// are charged.
func TestSetBacksAreBounded(t *testing.T) {
	t.Parallel()
	var s setBacks
	for i := range maxSetBacks {
		if n := s.count(recipientKey{index: i}); n != 1 {
			t.Fatalf("recipient %d: %d, want 1", i, n)
		}
	}

	if n := s.count(recipientKey{index: -1}); n <= maxUncharged {
		t.Errorf("one too many: %d, want it charged", n)
	}

	s.clear(recipientKey{index: 5})
	if n := s.count(recipientKey{index: -1}); n != 1 {
		t.Errorf("after one was accepted: %d, want 1", n)
	}
}

// The pause of a rule holds, whatever its verdict and whenever the reply came.
// Only a rule without one leaves it to the account.
func TestTheRulesOwnPauseHolds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reply reply.Reply
		want  time.Duration
	}{
		{reply.New(reply.Auth, 454, "4.7.0 Cannot authenticate due to a temporary system problem"), time.Minute},
		{reply.New(reply.Connect, 421, "4.3.0 come back later"), time.Minute},
		{reply.New(reply.Connect, 554, "no SMTP service here"), 30 * time.Minute},
		{reply.New(reply.Auth, 535, "5.7.8 bad credentials"), refusedClosed},
		{reply.Lost(reply.Connect, "conn_refused", "connection refused"), 2 * time.Second},
	} {
		ls := &lanes{}
		c := ls.close(noon, reply.Classify(tt.reply), tt.reply.String())
		if c.pause != tt.want {
			t.Errorf("%s (rule %s): closed for %s, want %s", tt.reply, c.decision.Rule, c.pause, tt.want)
		}
	}
}

// A server that takes no more connections than are open closes nothing: the
// others go on, until none has had a message accepted for a while.
func TestFewerConnectionsAreNoClosing(t *testing.T) {
	t.Parallel()
	ls := &lanes{}
	ls.answered(noon, ls.of(at(nil, 0, "gmail.com")), true, false)
	d := reply.Classify(reply.New(reply.Connect, 421, "4.7.0 too many connections from 192.0.2.1"))
	rest, alone, c := ls.refusedConnection(noon.Add(othersSend-1), d, "refused")
	if rest != time.Minute || !alone || c != nil || ls.breaker.troubled() {
		t.Errorf("rest %s, alone %v, closing %+v", rest, alone, c)
	}

	rest, alone, c = ls.refusedConnection(noon.Add(othersSend), d, "refused")
	if rest != time.Minute || alone || c == nil || !ls.breaker.closed(noon.Add(othersSend)) {
		t.Errorf("when nothing is accepted any more: rest %s, alone %v, closing %+v", rest, alone, c)
	}

	rest, alone, c = ls.refusedConnection(noon.Add(othersSend+time.Second), d, "refused")
	if rest != time.Minute-time.Second || alone || c != nil {
		t.Errorf("while it is closed: rest %s, alone %v, closing %+v", rest, alone, c)
	}
}

// A recipient is not taken while its lane, the account or the route is closed, nor
// when there is no room, and it says when to try again.
func TestAnOfferThatIsNotTakenSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	const domain = "gmail.com"
	var crowd run
	for _, tt := range []struct {
		name    string
		prepare func(*lanes, *lane)
		route   time.Duration // closed for
		want    answer
	}{
		{name: "open", want: answer{taken: true}},
		{name: "it was closed", route: -time.Second, want: answer{taken: true}},
		{name: "the lane is paused", prepare: func(_ *lanes, l *lane) { l.throttled = paused() }, route: time.Second, want: answer{shut: true, wait: time.Second}},
		{name: "the pause is longer", prepare: func(_ *lanes, l *lane) { l.throttled = paused() }, want: answer{shut: true, wait: shutReturn}},
		{name: "somebody has closed the lane", prepare: func(_ *lanes, l *lane) { l.throttled = l.throttled.Close(noon, "", "") }, want: answer{shut: true, wait: shutReturn}},
		{name: "the account is closed", prepare: func(ls *lanes, _ *lane) { ls.breaker.closedUntil = noon.Add(time.Minute) }, want: answer{shut: true, wait: time.Minute}},
		{name: "a quota is spent", prepare: func(ls *lanes, _ *lane) {
			ls.spent = spentQuota{Spent: throttle.Spent{Until: noon.Add(time.Minute)}, asked: noon}
		}, want: answer{shut: true, wait: time.Minute}},
		{name: "it opens soon", route: time.Millisecond, want: answer{shut: true, wait: time.Second}},
		{name: "no room", prepare: fill(&crowd, minRoom), want: answer{wait: time.Second}},
		{name: "a slow lane has enough", prepare: func(ls *lanes, l *lane) { l.limit.Rate = 1; fill(&crowd, 10)(ls, l) }, want: answer{wait: laneRoom / 2}},
	} {
		ls := &lanes{}
		l := ls.of(at(nil, 0, domain))
		if tt.prepare != nil {
			tt.prepare(ls, l)
		}
		before := l.size
		if got := ls.offer(noon, at(&crowd, 0, domain), noon.Add(tt.route)); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
		if got := l.size > before; got != tt.want.taken {
			t.Errorf("%s: it waits: %t", tt.name, got)
		}
	}
}

// The lane other closes all domains of the long tail, and no other provider.
func TestTheLaneOtherStandsForAllDomains(t *testing.T) {
	t.Parallel()
	closed := throttle.Lane{}.Close(noon, "", "all of them")
	ls := &lanes{shared: map[string]throttle.Lane{"other": closed, "own.example": throttle.Lane{}.Close(noon, "", "its own")}}
	for domain, want := range map[string]string{"acme.example": "all of them", "own.example": "its own", "gmail.com": ""} {
		if got := ls.of(at(nil, 0, domain)).throttled.Reason; got != want {
			t.Errorf("%s is closed for %q, want %q", domain, got, want)
		}
	}
}

// The feeder stops for the long tail when all of it is closed, and not when one domain is.
func TestTheLongTailIsShutAsAWhole(t *testing.T) {
	t.Parallel()
	closed := throttle.Lane{}.Close(noon, "", "")
	for _, tt := range []struct {
		name   string
		shared map[string]throttle.Lane
		want   time.Time
	}{
		{"open", nil, time.Time{}},
		{"all of it closed", map[string]throttle.Lane{"other": closed}, noon.Add(shutReturn)},
		{"one domain closed", map[string]throttle.Lane{"acme.example": closed}, time.Time{}},
		{"the lane other paused, which stands for no domain", map[string]throttle.Lane{"other": paused()}, time.Time{}},
	} {
		ls := &lanes{shared: tt.shared}
		ls.of(at(nil, 0, "acme.example"))
		if got := ls.shutUntil(noon, campaign.Other); !got.Equal(tt.want) {
			t.Errorf("%s: until %s, want %s", tt.name, got, tt.want)
		}
	}
}

// fill lets n recipients of a run wait.
func fill(r *run, n int) func(*lanes, *lane) {
	return func(ls *lanes, l *lane) {
		for i := range n {
			l.push(at(r, i, "gmail.com"), false)
		}
	}
}

// Recipients without room in a slow lane come back one after the other, as fast as
// it can take them.
func TestRecipientsWithoutRoomComeBackInTurn(t *testing.T) {
	t.Parallel()
	ls, r := &lanes{}, &run{}
	l := ls.of(at(r, 0, "gmail.com"))
	l.limit.Rate = 2
	fill(r, 20)(ls, l)
	for i, want := range []time.Duration{laneRoom / 2, laneRoom/2 + time.Second/2, laneRoom/2 + time.Second} {
		if got := ls.offer(noon, at(r, 100+i, "gmail.com"), time.Time{}); got.taken || got.wait != want {
			t.Errorf("%d: %+v, want %s", i, got, want)
		}
	}
}

// A lane whose transactions take long uses its share of the connections, and more
// only as far as the others do not need them. A quick one uses what is free.
// What a slow domain has no use for stays away for as long as the domain has been slow,
// so that one transaction that took long does not slow down the rest of a run.
func TestOneLateAnswerSendsNobodyAwayForLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ slow, most time.Duration }{
		{2 * time.Second, 2 * time.Second},
		{30 * time.Second, 30 * time.Second},
		{time.Hour, maxReturn},
	} {
		ls, r := &lanes{connections: 4}, &run{}
		ls.putBack(at(r, 0, "other.example"), time.Time{})
		for i := range 100 {
			ls.putBack(at(r, i, "slow.example"), time.Time{})
		}
		l := ls.byName["slow.example"]
		for _, at := range []time.Duration{-tt.slow, -2 * time.Second} {
			began := noon.Add(at)
			l.enter(began)
			l.transact(began)
			l.leave(began, began.Add(2*time.Second))
		}

		out := l.crowd(noon)
		longest := time.Duration(0)
		for range out {
			wait, _ := l.full(noon, r)
			longest = max(longest, wait)
		}
		if len(out) < 80 || longest != tt.most {
			t.Errorf("slow for %s: %d recipients stay away for %s at most, want %s", tt.slow, len(out), longest, tt.most)
		}

		for range 20 {
			l.enter(noon)
			l.transact(noon)
			l.leave(noon, noon.Add(10*time.Millisecond))
		}
		if !l.late.IsZero() || l.flow(noon) != 0 {
			t.Errorf("slow for %s, then quick: late since %s, flow %v", tt.slow, l.late, l.flow(noon))
		}
	}
}

func TestASlowLaneLeavesConnectionsToOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		each   time.Duration
		others int // connections that another lane uses
		want   int // that the lane gets of ten
	}{
		{"quick", slowTransaction / 2, 0, 10},
		{"not known yet", 0, 0, 2},
		{"very slow", 2 * verySlow, 0, 5},
		{"slow next to one that needs many", 2 * slowTransaction, 5, 5},
		{"slow next to one that needs few", 2 * slowTransaction, 2, 7},
	} {
		ls, r := &lanes{connections: 10}, &run{}
		for i := range 20 {
			ls.putBack(at(r, i, "gmail.com"), time.Time{})
		}
		ls.putBack(at(r, 0, "yahoo.com"), noon.Add(time.Hour)) // waits for a slot
		gmail, yahoo := ls.byName["gmail"], ls.byName["yahoo"]
		gmail.each = tt.each
		for range tt.others {
			yahoo.enter(noon)
		}

		got := 0
		for gmail.using < 10 {
			rcpt, _ := ls.next(noon, nil)
			if rcpt == nil {
				break
			}
			rcpt.lane.enter(noon)
			got++
		}
		if got != tt.want {
			t.Errorf("%s: %d connections, want %d", tt.name, got, tt.want)
		}
	}
}

// A domain of the long tail has its own slots where it has a rate, else those that the
// whole long tail shares where that has one.
func TestPacesOfTheLongTail(t *testing.T) {
	t.Parallel()
	r := &run{handle: &ledger.Run{ID: "news-1"}}
	a := newAccount(&Config{Log: slog.New(slog.DiscardHandler)}, newLifetime(0, 0), AccountConfig{
		Name: "ses", Connections: 1, Lanes: map[string]LaneLimit{"other": {Rate: 20}, "slow.example": {Rate: 1}},
	})
	for domain, want := range map[string][]throttle.Limit{
		"gmail.com":    nil,
		"a.example":    {{Account: "ses", Provider: "other", Rate: 20}},
		"slow.example": {{Account: "ses", Domain: "slow.example", Rate: 1}, {Account: "ses", Provider: "other", Rate: 20}},
	} {
		rcpt := at(r, 0, domain)
		rcpt.lane = a.lanes.of(rcpt)
		got := a.pace(noon, rcpt).limits.Load().all
		want = append([]throttle.Limit{{Campaign: "news-1"}, {Account: "ses"}}, want...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", domain, diff)
		}
	}
	if n := len(a.paces); n != 3 {
		t.Errorf("%d paces, want one without a rate, one of the tail and one of the domain", n)
	}
}

// A quick lane counts as slow while one of its transactions is stuck, and whatever
// did not come as far as the server says nothing about it.
func TestALaneIsSlowWhileATransactionIsStuck(t *testing.T) {
	t.Parallel()
	g := &group{}
	l := &lane{group: g}
	slow := func(after time.Duration, want bool) {
		t.Helper()
		if got := l.slow(noon.Add(after)); got != want {
			t.Errorf("after %s: slow %v, want %v", after, got, want)
		}
	}
	begin := func(at time.Time) {
		l.enter(at)
		l.transact(at)
	}
	l.enter(noon)
	l.leave(time.Time{}, noon.Add(time.Millisecond))
	slow(time.Millisecond, true)

	begin(noon)
	l.leave(noon, noon.Add(10*time.Millisecond))
	slow(10*time.Millisecond, false)

	begin(noon)
	l.enter(noon) // it waits for its slot
	slow(stuckMore, false)
	slow(time.Second, true)
	l.leave(noon, noon.Add(20*time.Millisecond))
	slow(time.Second, false)
	if l.using != 1 || g.using != 1 {
		t.Errorf("%d connections in the lane and %d in its group, want 1", l.using, g.using)
	}
}

// Connections that ask at the same moment count each other: of eight, a lane of which no
// transaction has ended yet has two, whenever their work begins.
func TestConnectionsThatAskAtOnceCountEachOther(t *testing.T) {
	t.Parallel()
	a := newAccount(&Config{Log: slog.New(slog.DiscardHandler)}, &lifetime{}, AccountConfig{Name: "relay", Connections: 8})
	r := &run{}
	for i := range 5 {
		a.lanes.putBack(at(r, i, "example.org"), time.Time{})
	}

	var taken []*recipient
	for range 8 {
		if rcpt, _ := a.begin(noon); rcpt != nil {
			taken = append(taken, rcpt)
		}
	}
	if len(taken) != 2 {
		t.Fatalf("%d connections work for the lane, want 2", len(taken))
	}
	if rcpt, _ := a.begin(noon); rcpt != nil {
		t.Error("a third one may")
	}
	a.leave(taken[0].lane, probe{}, time.Time{}, nil)
	if rcpt, _ := a.begin(noon); rcpt == nil {
		t.Error("none may when one has left")
	}
}
