package reply_test

import (
	"testing"
	"time"

	"broadside/sender/reply"
)

func decisionOf(rule string) reply.Decision {
	return reply.Decision{
		Rule: rule, Verdict: reply.RetryLane, Backoff: time.Minute, Factor: 2, MaxBackoff: time.Hour,
		Escalate: reply.Escalate{Count: 3, Window: 10 * time.Minute, Verdict: reply.PauseLane, Pause: 15 * time.Minute},
	}
}

func TestEscalator(t *testing.T) {
	t.Parallel()
	var e reply.Escalator
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	steps := []struct {
		after    time.Duration // from the start
		accepted int           // before
		rule     string
		want     bool
	}{
		{0, 0, "busy", false},
		{1 * time.Minute, 0, "busy", false},
		{2 * time.Minute, 0, "other", false}, // another rule
		{11 * time.Minute, 0, "busy", false}, // the first two have left the window
		{12 * time.Minute, 0, "busy", false},
		{13 * time.Minute, 3, "busy", true},  // three accepted make up for nothing
		{13 * time.Minute, 0, "busy", false}, // counting begins again
		{14 * time.Minute, 0, "busy", false},
		{15 * time.Minute, 0, "busy", true},
		{16 * time.Minute, 0, "busy", false},
		{16 * time.Minute, 0, "busy", false},
		{17 * time.Minute, 4, "busy", false}, // four make up for one
		{17 * time.Minute, 0, "busy", true},
	}
	for i, s := range steps {
		for range s.accepted {
			e.Accepted()
		}
		before := decisionOf(s.rule)
		got, escalated := e.Add(start.Add(s.after), before)
		if escalated != s.want {
			t.Errorf("step %d: escalated %t, want %t", i, escalated, s.want)
		}
		want := before
		if s.want {
			want.Verdict, want.Backoff, want.Factor, want.MaxBackoff = reply.PauseLane, 15*time.Minute, 0, 0
		}
		if got != want {
			t.Errorf("step %d: got %+v, want %+v", i, got, want)
		}
	}
}

// A server that takes most messages is never escalated, however many it refuses.
func TestFewAmongManyAcceptedEscalateNothing(t *testing.T) {
	t.Parallel()
	var e reply.Escalator
	for i := range 10_000 {
		for range 6 {
			e.Accepted()
		}
		if _, escalated := e.Add(time.Unix(0, int64(i)), decisionOf("busy")); escalated {
			t.Fatalf("escalated at the refusal %d of seven times as many messages", i)
		}
	}
}

func TestEscalatorLeavesOtherRulesAlone(t *testing.T) {
	t.Parallel()
	var e reply.Escalator
	d := reply.Decision{Rule: "plain", Verdict: reply.RetryLane}
	for range 100 {
		if got, escalated := e.Add(time.Unix(0, 0), d); escalated || got != d {
			t.Fatalf("got %+v, want the decision as it was", got)
		}
	}
}

// A pause that the rule does not name stays that of the decision.
func TestEscalationWithoutPause(t *testing.T) {
	t.Parallel()
	var e reply.Escalator
	d := decisionOf("busy")
	d.Escalate.Count, d.Escalate.Pause = 1, 0
	got, escalated := e.Add(time.Unix(0, 0), d)
	if !escalated || got.Verdict != reply.PauseLane || got.Backoff != d.Backoff || got.MaxBackoff != d.MaxBackoff {
		t.Errorf("got %+v, escalated %t", got, escalated)
	}
}
