package sender

import (
	"fmt"
	"testing"
	"time"

	"broadside/campaign/suppression"
)

// seenBefore notes a sign that an address is dead, as another run did some days ago.
func (b *fixture) seenBefore(to string, ago time.Duration) {
	b.t.Helper()
	k := suppression.KeyOf(to)
	key := fmt.Sprintf("bs:supp:confirm:%x", k[0]%16)
	if err := b.rdb.HSet(b.t.Context(), key, string(k[:]), fmt.Sprintf("1 %d", time.Now().Add(-ago).UnixMilli())).Err(); err != nil {
		b.t.Fatal(err)
	}
}

// A reply that has to be confirmed suppresses when it comes a second time, a day
// or more after the first, before the body and after it.
func TestAReplyThatIsConfirmedSuppresses(t *testing.T) {
	t.Parallel()
	const disabled = "550 5.2.1 This mailbox is disabled"
	for _, tt := range []struct {
		name, rcpt, dot, cell string
		before                time.Duration // 0: never
		suppressed            bool
	}{
		{name: "the first, at RCPT", rcpt: disabled, cell: "f1"},
		{name: "the first, after the body", dot: disabled, cell: "f1"},
		{name: "an hour later, at RCPT", rcpt: disabled, before: time.Hour, cell: "f1"},
		{name: "two days later, at RCPT", rcpt: disabled, before: 48 * time.Hour, cell: "b1", suppressed: true},
		{name: "two days later, after the body", dot: disabled, before: 48 * time.Hour, cell: "b1", suppressed: true},
		{name: "another failure", rcpt: "550 5.7.1 not for you", before: 48 * time.Hour, cell: "f1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, people("p", 2)...)
			b.issue()
			for _, to := range b.to {
				if tt.before > 0 {
					b.seenBefore(to, tt.before)
				}
			}
			j := &scriptedServer{rcpt: func(string) string { return tt.rcpt }, dot: func(string) string { return tt.dot }}
			b.stepByStep(j, b.supp, func(h *stepper) {
				for len(h.waiting()) > 0 || h.d.current != nil {
					h.deliver(t.Context())
				}
			})
			cells := b.cells()
			for _, to := range b.to {
				if cells[to] != tt.cell {
					t.Errorf("%s: %s, want %s", to, cells[to], tt.cell)
				}
				found, err := b.supp.Check(t.Context(), to)
				if err != nil || len(found) != 1 || found[0].Suppressed != tt.suppressed {
					t.Errorf("%s: suppression %+v, %v; want %v", to, found, err, tt.suppressed)
				}
			}
			b.settledAll()
		})
	}
}
