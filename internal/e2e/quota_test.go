package e2e

import (
	"fmt"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestAQuotaOfADayHolds has a quota of 50 in 24 hours: it holds over two campaigns and a
// restart of Redis, and who waits for it is told until when. That the next message goes
// when the time has come is shown in throttle, and in sender.
func TestAQuotaOfADayHolds(t *testing.T) {
	t.Parallel()
	const quota, people = 50, 30
	server := testkit.NewScriptServer(t, takesAll)
	w := newWorld(t, setup{
		redis:    []string{"--appendonly", "yes", "--appendfsync", "always"},
		accounts: account("relay", server.Addr(), fmt.Sprintf("    limits: {per_day: %d, connections: 4}\n", quota)),
	})
	w.audience(at(people, "example.org"))
	begun := time.Now()
	w.quietWorker()
	w.quietWorker()
	w.finished(w.launch(), 30*time.Second)

	second := w.launch("--again")
	spent := func(d document) bool { return d.waitsFor("quota") != nil && len(server.Taken()) == quota }
	d := w.until(second, 30*time.Second, "waiting for the quota", spent)
	wait := d.waitsFor("quota")
	if wait.What != "relay" || wait.Until == nil {
		t.Fatalf("%s: expected that it waits for the quota of relay, and until when", d.text())
	}
	if after := wait.Until.Sub(begun); after < 24*time.Hour || after > 24*time.Hour+10*time.Minute {
		t.Errorf("it waits for %s, expected a day and at most two buckets", after)
	}

	w.redis.Kill()
	w.redis.Start()
	w.until(second, 30*time.Second, "waiting for the quota", spent)
	<-time.After(2 * time.Second) // a worker that forgot it would send now
	d = w.show(second)
	if n := len(server.Taken()); n != quota || d.waitsFor("quota") == nil {
		t.Errorf("%d messages, expected %d and that the run still waits: %s", n, quota, d.text())
	}
	if d.Counts["accepted"] != quota-people || d.Counts["pending"] != 2*people-quota || d.Counts["deferred"] != 0 {
		t.Errorf("counts %v, expected %d accepted and the others pending", d.Counts, quota-people)
	}
}
