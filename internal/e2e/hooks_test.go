package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"broadside/internal/standardwebhooks"
	"broadside/internal/testkit"
)

var (
	hookRate = flag.Int("hooks.rate", 100, "events a second in TestHooksOutliveAKill")
	hookTime = flag.Duration("hooks.time", 3*time.Second, "how long they come")
	hookKill = flag.Bool("hooks.kill", true, "whether web is killed meanwhile")
)

// processorTime returns how long a process has used the processors; 0 where the system
// does not say so as Linux does.
func processorTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, fields, _ := bytes.Cut(stat, []byte(") ")) // after the name, which may have blanks
	var state string
	var skipped, user, system int64
	_, err = fmt.Sscan(string(fields), &state, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &user, &system)
	if err != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond // a tick is 10 ms
}

// TestHooksOutliveAKill posts signed events at a steady rate, one in each request, and
// kills web while they come. Who has no answer of 200 tries again, as relays do: in the
// end every event has been counted once. It logs how long the answers took; with
// -args -hooks.rate=2000 -hooks.time=10s -hooks.kill=false that is a measurement. The time
// of an answer begins when its event was due, so that a client which falls behind does not
// hide the waits; how late it began the requests is logged too, and which process took how
// much of the processors. It runs alone: those that measure rates are not to be disturbed.
func TestHooksOutliveAKill(t *testing.T) {
	const secret = "whsec_YSBzZWNyZXQgb2YgMzIgYnl0ZXMgZm9yIHRoZSBob29r"
	people := int(float64(*hookRate) * hookTime.Seconds())
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "") + "feedback: {hooks: {generic: {secret: " + secret + "}}}\n"})
	web, base := w.web()
	run := w.launch()
	w.worker()
	w.finished(run, 2*time.Minute)
	sent := slices.DeleteFunc(sink.Records(), func(r testkit.Record) bool { return r.Kind != 'A' })

	key, err := standardwebhooks.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	const connections = 100 // as many as a relay may have: not one more for each answer that is late
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	bodies := make([][]byte, people)
	for i, r := range sent {
		bodies[i], err = json.Marshal(map[string]string{
			"id": fmt.Sprintf("event-%d", i), "type": "bounced", "recipient": r.Rcpt, "message_id": r.ID,
			"at": time.Now().UTC().Format(time.RFC3339), "reply": "550 5.1.1 user unknown",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	post := func(i int) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/hooks/generic", bytes.NewReader(bodies[i]))
		if err != nil {
			return 0, err
		}
		standardwebhooks.Sign(req.Header, key, fmt.Sprintf("request-%d", i), time.Now(), bodies[i])
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, res.Body) // or its connection would not be used again
		return res.StatusCode, errors.Join(err, res.Body.Close())
	}

	var tried atomic.Int64
	took := make([]time.Duration, people) // from when it was due to the answer
	late := make([]time.Duration, people) // from when it was due to its first request
	before := []time.Duration{processorTime(os.Getpid()), processorTime(web.Pid()), processorTime(w.redis.Proc().Pid())}
	var posting sync.WaitGroup
	began := time.Now()
	posting.Go(func() {
		for i := range people {
			due := began.Add(time.Duration(float64(i) / float64(*hookRate) * float64(time.Second)))
			if wait := time.Until(due); wait > 0 {
				<-time.After(wait)
			}
			posting.Go(func() {
				late[i] = time.Since(due)
				for range testkit.Tries(time.Minute) {
					tried.Add(1)
					if status, err := post(i); err == nil && status == http.StatusOK {
						took[i] = time.Since(due)
						return
					}
				}
				t.Errorf("event %d was never answered with 200", i)
			})
		}
	})
	if *hookKill {
		<-time.After(*hookTime / 2)
		web.Kill()
		w.start("web").WaitLine("web started", 20*time.Second)
	}
	posting.Wait()

	whole := time.Since(began)
	slices.Sort(took)
	slices.Sort(late)
	t.Logf("%d events in %s, %d requests; answers came %s after their events were due at the median, %s at the 99th percentile, %s at most; "+
		"requests began %s late at the 99th percentile", people, whole.Round(time.Millisecond), tried.Load(),
		took[people/2], took[people*99/100], took[people-1], late[people*99/100])
	if !*hookKill {
		share := func(pid int, before time.Duration) float64 {
			return float64(processorTime(pid)-before) / float64(whole)
		}
		t.Logf("processors used: %.2f by this client, %.2f by web, %.2f by redis", share(os.Getpid(), before[0]), share(web.Pid(), before[1]), share(w.redis.Proc().Pid(), before[2]))
	}
	if d := w.show(run); d.After["bounced"] != int64(people) {
		t.Errorf("%d bounces were counted, want %d", d.After["bounced"], people)
	}
	out, _ := w.run(0, "suppression", "check", "--json", sent[0].Rcpt, sent[people-1].Rcpt)
	if strings.Count(out, `"suppressed": true`) != 2 {
		t.Errorf("suppression check: %s", out)
	}
}
