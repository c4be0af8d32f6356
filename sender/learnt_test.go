package sender

import (
	"sync/atomic"
	"testing"

	"broadside/campaign"
)

// A server that says twice that a connection has carried enough messages is asked for
// no more on the next ones.
func TestALimitOfMessagesIsLearnt(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", 12)...)
	var refused atomic.Int64
	j := &scriptedServer{}
	carried := map[int]int{} // by connection; guarded by j.mu
	j.rcpt = func(string) string {
		j.mu.Lock()
		defer j.mu.Unlock()
		n := len(j.conns)
		carried[n]++
		if carried[n] > 3 {
			refused.Add(1)
			return "421 4.7.0 too many messages in this session"
		}
		return ""
	}
	j.listen(t)
	b.toServer(j.l.Addr().String(), 1)
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == 12 })
	if n := refused.Load(); n > 2 {
		t.Errorf("refused %d times, want the limit of three to be kept after the second", n)
	}
}
