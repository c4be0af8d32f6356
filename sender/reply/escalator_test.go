package reply_test

import (
	"fmt"
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
		after      time.Duration // from the start
		rule, lane string
		want       bool
	}{
		{0, "busy", "ses/gmail", false},
		{1 * time.Minute, "busy", "ses/gmail", false},
		{2 * time.Minute, "busy", "ses/yahoo", false},  // another lane
		{2 * time.Minute, "other", "ses/gmail", false}, // another rule
		{11 * time.Minute, "busy", "ses/gmail", false}, // the first two have left the window
		{12 * time.Minute, "busy", "ses/gmail", false},
		{13 * time.Minute, "busy", "ses/gmail", true},
		{13 * time.Minute, "busy", "ses/gmail", false}, // counting begins anew
		{14 * time.Minute, "busy", "ses/gmail", false},
		{15 * time.Minute, "busy", "ses/gmail", true},
	}
	for i, s := range steps {
		before := decisionOf(s.rule)
		got, escalated := e.Add(start.Add(s.after), s.lane, before)
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

func TestEscalatorLeavesOtherRulesAlone(t *testing.T) {
	t.Parallel()
	var e reply.Escalator
	d := reply.Decision{Rule: "plain", Verdict: reply.RetryLane}
	for range 100 {
		if got, escalated := e.Add(time.Unix(0, 0), "lane", d); escalated || got != d {
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
	got, escalated := e.Add(time.Unix(0, 0), "lane", d)
	if !escalated || got.Verdict != reply.PauseLane || got.Backoff != d.Backoff || got.MaxBackoff != d.MaxBackoff {
		t.Errorf("got %+v, escalated %t", got, escalated)
	}
}

// However many lanes there are, little is kept: what matched longest ago goes.
func TestEscalatorForgets(t *testing.T) {
	t.Parallel()
	var e reply.Escalator
	now := time.Unix(0, 0)
	add := func(lane string) bool {
		now = now.Add(time.Millisecond)
		_, escalated := e.Add(now, lane, decisionOf("busy"))
		return escalated
	}
	add("first")
	add("first")
	for i := range 2000 {
		add(fmt.Sprint("lane", i))
	}
	if add("first") {
		t.Error("the first lane is still counted after 2000 others")
	}
	if add("lane1999") {
		t.Error("the second match of the last lane escalates")
	}
	if !add("lane1999") {
		t.Error("the last lane is not counted any more")
	}
}
