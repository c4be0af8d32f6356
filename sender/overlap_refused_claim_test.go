package sender

import (
	"context"
	"errors"
	"testing"

	"broadside/campaign/codes"
	"broadside/campaign/ledger"
)

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
			j, l := &scriptedServer{}, &suppressionAnswers{answer: func(int64) bool { return false }}
			if tt.claims == 0 {
				j.rcpt = func(string) string { other(); return "" }
			} else {
				l.answer = func(int64) bool { other(); return false }
			}
			b.stepByStep(j, l, func(h *stepper) {
				h.deliver(t.Context())
				if h.d.current != nil || h.d.next != nil || h.d.conn != nil {
					t.Error(h)
				}
				h.expectHeld()
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
	j := &scriptedServer{rcpt: func(string) string {
		if ok, err := b.ledger.PauseFor(context.Background(), "news-1", codes.Content, "test"); err != nil || !ok {
			t.Errorf("pause: %t, %v", ok, err)
		}
		return ""
	}}
	b.stepByStep(j, b.supp, func(h *stepper) {
		h.deliver(t.Context())
		if waiting := h.waiting(); len(waiting) > 0 || h.d.current != nil || h.d.next != nil || h.r.running.Load() {
			t.Errorf("%s; running %t", h, h.r.running.Load())
		}
		h.expectHeld()
	})
	for to, cell := range b.cells() {
		if cell != "-0" {
			t.Errorf("%s: %s, want pending", to, cell)
		}
	}

	b.settledAll()
}
