package sender

import (
	"testing"
	"time"

	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

// noon is when these tests take place.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestAClosedAccountIsProbedByOneConnection: what was taken before the account
// closed ends no probe when it is over, nor does a probe that was put back.
func TestAClosedAccountIsProbedByOneConnection(t *testing.T) {
	t.Parallel()
	a, now, r := &lanes{}, noon, &run{}
	for range 4 {
		a.putBack(&recipient{run: r}, time.Time{})
	}

	take := func(want bool) probe {
		t.Helper()
		rcpt, _ := a.next(now, false)
		if (rcpt != nil) != want {
			t.Fatalf("took a recipient: %v, want %v", rcpt != nil, want)
		}
		if rcpt == nil {
			return probe{}
		}
		return rcpt.probe
	}
	provider := providerOf(&recipient{})
	before := take(true)
	a.breaker.failures = 1 // as close does
	first := take(true)
	if before.account != 0 || first.account == 0 {
		t.Fatalf("probes %d and %d, want the second to be one", before, first)
	}

	if ahead, _ := a.next(now, true); ahead != nil {
		t.Error("a recipient in addition to the probe, for a connection that has one")
	}

	a.probed(before, provider)
	take(false) // the probe is under way
	a.probed(first, provider)
	second := take(true)
	a.probed(first, provider)
	take(false) // the second probe is under way
	a.probed(second, provider)
	a.breaker.failures = 0 // as works does
	if take(true) != (probe{}) {
		t.Error("a probe of an account that works")
	}
}

// A lane that was closed is probed by one message at a time, and the others go on
// as ever.
func TestALaneIsProbedByItself(t *testing.T) {
	t.Parallel()
	a, now, r := &lanes{}, noon, &run{}
	for part := range 2 {
		for i := range 3 {
			a.putBack(&recipient{run: r, ref: ledger.Ref{Part: part, Index: i}}, time.Time{})
		}
	}

	a.of(providerOf(&recipient{})).breaker.failures = 1
	parts := [2]int{}
	for {
		rcpt, _ := a.next(now, false)
		if rcpt == nil {
			break
		}
		parts[rcpt.ref.Part]++
	}

	if parts != [2]int{1, 3} {
		t.Errorf("took %v of the two lanes, want one probe of the first and all of the second", parts)
	}

	if rcpt, _ := a.next(now, true); rcpt != nil {
		t.Errorf("took %v of a lane that is being probed", rcpt.ref)
	}
}

// A reply about a lane or an account counts when a second recipient gets it, with
// no acceptance in between; the recipient waits, and is charged the third time.
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
			a, r := &lanes{}, &run{}
			d := reply.Classify(tt.reply)
			ada := &recipient{run: r, ref: ledger.Ref{Index: 1}}
			bob := &recipient{run: r, ref: ledger.Ref{Index: 2}}
			for n, want := range []string{"-10s", "-20s", "d0s", "-10s"} {
				o, c := a.setBack(noon, ada, d, tt.reply)
				if got := o.State.String()[:1] + o.Delay.String(); got != map[byte]string{'-': "p" + want[1:], 'd': want}[want[0]] || c != nil {
					t.Errorf("time %d: got %s, closing %v; want %s and none", n+1, got, c, want)
				}
			}
			a.answered(noon, providerOf(ada), true)
			if _, c := a.setBack(noon, bob, d, tt.reply); c != nil {
				t.Error("closed although a message was accepted since")
			}
			o, c := a.setBack(noon, ada, d, tt.reply)
			if c == nil || (c.provider == "") != tt.account || o.Delay != c.pause {
				t.Fatalf("a second recipient: closing %+v, outcome %+v", c, o)
			}
			// Whatever was under way meanwhile waits as long, and closes nothing more.
			carl := &recipient{run: r, ref: ledger.Ref{Index: 4}}
			o, c2 := a.setBack(noon, carl, d, tt.reply)
			if c2 != nil || o.Delay <= 0 || o.Delay > c.pause {
				t.Errorf("a third one: closing %+v, delay %s", c2, o.Delay)
			}
		})
	}
}

// Connections that a server drops at the same moment are one closing, not nine:
// each would double the pause.
func TestConnectionsThatFailTogetherCloseALaneOnce(t *testing.T) {
	t.Parallel()
	a, r := &lanes{}, &run{}
	lost := reply.Lost(reply.Mail, reply.EOF, "EOF")
	d := reply.Classify(lost)
	closings := 0
	for i := range 9 {
		_, c := a.setBack(noon, &recipient{run: r, ref: ledger.Ref{Index: i}}, d, lost)
		if c != nil {
			closings++
		}
	}

	l := a.of(providerOf(&recipient{}))
	if rest := l.breaker.closedUntil.Sub(noon); closings != 1 || rest > d.Backoff {
		t.Errorf("%d closings, the lane is closed for %s; want one of %s", closings, rest, d.Backoff)
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
		a := &lanes{}
		c := a.close(noon, "", reply.Classify(tt.reply), tt.reply.String())
		if c.pause != tt.want {
			t.Errorf("%s (rule %s): closed for %s, want %s", tt.reply, c.decision.Rule, c.pause, tt.want)
		}
	}
}

// A server that takes no more connections than are open closes nothing: the
// others go on, until none has had a message accepted for a while.
func TestFewerConnectionsAreNoClosing(t *testing.T) {
	t.Parallel()
	a := &lanes{}
	a.answered(noon, providerOf(&recipient{}), true)
	d := reply.Classify(reply.New(reply.Connect, 421, "4.7.0 too many connections from 192.0.2.1"))
	rest, alone, c := a.refusedConnection(noon.Add(othersSend-1), d, "refused")
	if rest != time.Minute || !alone || c != nil || a.breaker.troubled() {
		t.Errorf("rest %s, alone %v, closing %+v", rest, alone, c)
	}

	rest, alone, c = a.refusedConnection(noon.Add(othersSend), d, "refused")
	if rest != time.Minute || alone || c == nil || !a.breaker.closed(noon.Add(othersSend)) {
		t.Errorf("when nothing is accepted any more: rest %s, alone %v, closing %+v", rest, alone, c)
	}

	rest, alone, c = a.refusedConnection(noon.Add(othersSend+time.Second), d, "refused")
	if rest != time.Minute-time.Second || alone || c != nil {
		t.Errorf("while it is closed: rest %s, alone %v, closing %+v", rest, alone, c)
	}
}

// A recipient is not taken while its lane, the account or the route is closed, nor
// when the lane is full, and it says when to try again.
func TestAnOfferThatIsNotTakenSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		lane, route time.Duration // closed for
		full, want  bool
		wait        time.Duration
	}{
		{name: "open", want: true},
		{name: "it was closed", lane: -time.Second, route: -time.Second, want: true},
		{name: "the lane is closed", lane: time.Minute, route: time.Second, wait: time.Minute},
		{name: "the route is closed", lane: time.Second, route: time.Minute, wait: time.Minute},
		{name: "it opens soon", lane: time.Millisecond, wait: time.Second},
		{name: "no room", full: true, wait: time.Second},
	} {
		ls, r := &lanes{}, &run{}
		l := ls.of(providerOf(&recipient{}))
		l.breaker.closedUntil = noon.Add(tt.lane)
		if tt.full {
			for range minRoom {
				l.push(&recipient{run: r}, false)
			}
		}
		before := l.size
		ok, wait := ls.offer(noon, &recipient{run: r}, noon.Add(tt.route))
		if ok != tt.want || wait != tt.wait {
			t.Errorf("%s: taken %t, wait %s; want %t, %s", tt.name, ok, wait, tt.want, tt.wait)
		}
		if got := l.size > before; got != tt.want {
			t.Errorf("%s: it waits: %t", tt.name, got)
		}
	}
}
