package sender

import (
	"testing"
	"time"

	"broadside/sender/reply"
	"broadside/throttle"
)

// Several replies of a kind pause a lane when they go to several recipients, and what
// was under way at that moment means the same.
func TestRepliesThatAreCounted(t *testing.T) {
	t.Parallel()
	type step struct {
		index  int
		paused bool // before
		want   reply.Verdict
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"different recipients", []step{{0, false, reply.RetryLane}, {1, false, reply.RetryLane}, {2, false, reply.PauseLane}}},
		{"one alone", []step{{0, false, reply.RetryLane}, {0, false, reply.RetryLane}, {0, false, reply.RetryLane}, {0, false, reply.RetryLane}}},
		{"one of them twice in succession", []step{{0, false, reply.RetryLane}, {0, false, reply.RetryLane}, {1, false, reply.RetryLane}, {0, false, reply.PauseLane}}},
		{"under way when the lane paused", []step{
			{0, false, reply.RetryLane}, {1, false, reply.RetryLane}, {2, false, reply.PauseLane}, {3, true, reply.PauseLane}, {3, true, reply.PauseLane},
		}},
		{"paused by another rule", []step{{0, true, reply.RetryLane}, {1, true, reply.RetryLane}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ls, r := &lanes{}, &run{}
			d := reply.Decision{
				Rule: "busy", Verdict: reply.RetryLane,
				Escalate: reply.Escalate{Count: 3, Window: time.Hour, Verdict: reply.PauseLane},
			}
			for i, s := range tt.steps {
				rcpt := at(r, s.index, "gmail.com")
				l := ls.of(rcpt)
				l.throttled = throttle.Lane{}
				if s.paused {
					l.throttled = paused()
				}
				got, escalated := l.judge(noon, rcpt.key(), d)
				if got.Verdict != s.want || escalated != (s.want == reply.PauseLane) {
					t.Errorf("reply %d: %s, escalated %v; want %s", i, got.Verdict, escalated, s.want)
				}
			}
		})
	}
}
