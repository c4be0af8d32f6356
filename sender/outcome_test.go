package sender

import (
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

func TestOutcomeFollowsTheTableOfVerdicts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		verdict    reply.Verdict
		state      campaign.State
		greylisted bool
		ours       bool
	}{
		{reply.Accepted, campaign.Accepted, false, true},
		{reply.SuppressHard, campaign.Bounced, false, true},
		{reply.FailNoSuppress, campaign.Failed, false, true},
		{reply.RetryRecipient, campaign.Deferred, false, true},
		{reply.MailboxFull, campaign.Deferred, false, true},
		{reply.Greylisted, campaign.Deferred, true, true},
		{reply.Uncertain, campaign.Uncertain, false, true},
		{reply.RetryLane, 0, false, false},
		{reply.PauseLane, 0, false, false},
		{reply.PauseAccount, 0, false, false},
	} {
		o, ours := outcome(reply.Decision{Verdict: tt.verdict}, ledger.Reply{Code: 1})
		if ours != tt.ours || o.State != tt.state || o.Greylisted != tt.greylisted || o.Reply.Code != 1 {
			t.Errorf("%s: %+v, %v", tt.verdict, o, ours)
		}
	}

	if n := len(reply.Verdicts); n != 10 {
		t.Errorf("%d verdicts, the table has 10", n)
	}
}

func TestCloseForGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	rule := reply.Decision{Backoff: time.Minute, Factor: 2, MaxBackoff: 3 * time.Minute}
	for _, tt := range []struct {
		d        reply.Decision
		failures int
		want     time.Duration
	}{
		{rule, 1, time.Minute},
		{rule, 2, 2 * time.Minute},
		{rule, 3, 3 * time.Minute},
		{rule, 40, 3 * time.Minute},
		{reply.Decision{}, 1, 2 * time.Second},
		{reply.Decision{}, 3, 8 * time.Second},
		{reply.Decision{}, 60, maxClosed},
		{reply.Decision{Manual: true, Backoff: time.Hour}, 1, 2 * time.Second},
	} {
		if got := closeFor(tt.d, firstClosed, tt.failures); got != tt.want {
			t.Errorf("closeFor(%+v, %d) = %s, want %s", tt.d, tt.failures, got, tt.want)
		}
	}
}

func recipientsOf(r *run, n int) (out []*recipient) {
	for i := range n {
		out = append(out, &recipient{run: r, ref: ledger.Ref{Index: i}})
	}
	return out
}

func TestRunsTakeTurnsInALane(t *testing.T) {
	t.Parallel()
	l := &lane{group: &group{}}
	a, b := &run{}, &run{}
	for _, rcpt := range recipientsOf(a, 3) {
		l.push(rcpt, false)
	}

	for _, rcpt := range recipientsOf(b, 2) {
		l.push(rcpt, false)
	}

	now := time.Now()
	var got []*run
	for {
		rcpt, again := l.pop(now, false, false)
		if rcpt == nil {
			if !again.IsZero() {
				t.Errorf("an empty lane wants to be looked at again at %v", again)
			}
			break
		}
		got = append(got, rcpt.run)
	}

	want := []*run{a, b, a, b, a}
	if len(got) != len(want) {
		t.Fatalf("%d recipients, want %d", len(got), len(want))
	}

	for i := range want {
		if got[i] != want[i] {
			t.Errorf("turn %d went to the wrong run", i)
		}
	}
}

func TestARunThatWaitsForItsSlotHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	l := &lane{group: &group{}}
	slow, fast := &run{}, &run{}
	l.push(recipientsOf(slow, 1)[0], false)
	l.push(recipientsOf(fast, 1)[0], false)
	now := time.Now()
	l.normal.runs[0].notBefore = now.Add(time.Second)
	if rcpt, _ := l.pop(now, false, false); rcpt == nil || rcpt.run != fast {
		t.Fatal("the fast run waits behind the slow one")
	}

	if rcpt, again := l.pop(now, false, false); rcpt != nil || !again.Equal(now.Add(time.Second)) {
		t.Errorf("got %v, again %v", rcpt, again)
	}
	if rcpt, _ := l.pop(now.Add(time.Second), false, false); rcpt == nil || rcpt.run != slow {
		t.Error("the slow run was forgotten")
	}
}

func TestDrainTakesOnlyWhatItShould(t *testing.T) {
	t.Parallel()
	l := &lane{group: &group{}}
	a, b := &run{}, &run{}
	for _, rcpt := range append(recipientsOf(a, 3), recipientsOf(b, 2)...) {
		l.push(rcpt, false)
	}

	out := l.drain(func(rcpt *recipient) bool { return rcpt.run == a && rcpt.ref.Index != 1 })
	if len(out) != 2 || l.size != 3 {
		t.Fatalf("%d drained, %d left", len(out), l.size)
	}

	out = l.drain(func(*recipient) bool { return true })
	if len(out) != 3 || l.size != 0 || len(l.normal.runs) != 0 {
		t.Errorf("%d drained, %d left in %d runs", len(out), l.size, len(l.normal.runs))
	}
}

func TestRoomFollowsThePaceOfTheGroup(t *testing.T) {
	t.Parallel()
	g := &group{}
	if g.room() != minRoom {
		t.Errorf("room %d before anything is known", g.room())
	}

	now := time.Now()
	for range 4000 {
		now = now.Add(time.Millisecond)
		g.speed.count(now)
	}

	if got := g.room(); got < 1800 || got > 2200 {
		t.Errorf("room %d at 1,000 a second, want about 2,000", got)
	}
}
