package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// drained is within what a process is gone after SIGTERM: worker.drain, and
// slack for a machine that is busy with other tests.
const drained = 25*time.Second + 5*time.Second

// hanging makes a world whose server takes two bodies and never answers, and
// waits until both are on the wire.
func hanging(t *testing.T, process ...string) (*world, *testkit.Proc, string) {
	t.Helper()
	sink := testkit.NewRecsink(t, "-delay", "1h")
	w := newWorld(t, setup{people: 50, accounts: account("sink", sink.Addr(), "    limits: {connections: 8}\n")}) // a lane that never answers uses a quarter of them
	w.env = append(w.env, fmt.Sprintf("PORT=%d", testkit.Port(t)))
	p := w.start(process...)
	p.WaitLine("worker started", 20*time.Second)
	run := w.launch()
	w.until(run, 30*time.Second, "on the wire", func(d document) bool { return d.Counts["sending"] == 2 })
	return w, p, run
}

// TestSIGTERMEndsAWaitForTheLastReply: the bodies are uncertain, nothing else is.
func TestSIGTERMEndsAWaitForTheLastReply(t *testing.T) {
	t.Parallel()
	w, p, run := hanging(t, "worker")
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(drained); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d := w.show(run)
	if d.Counts["uncertain"] != 2 || d.Counts["pending"] != 48 {
		t.Errorf("counts %v", d.Counts)
	}
}

// TestSIGTERMIsObeyedWhenNothingAnswers: neither the server nor Redis.
func TestSIGTERMIsObeyedWhenNothingAnswers(t *testing.T) {
	t.Parallel()
	for _, process := range []string{"worker", "all"} {
		t.Run(process, func(t *testing.T) {
			t.Parallel()
			w, p, _ := hanging(t, process)
			w.redis.Stop()
			p.Signal(syscall.SIGTERM)
			if code := p.Wait(drained); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// TestSIGTERMIsObeyedWithoutRedis is about the processes that do not send.
func TestSIGTERMIsObeyedWithoutRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{people: 1, accounts: account("sink", "127.0.0.1:9", "")})
	scheduler := w.start("scheduler")
	scheduler.WaitLine("scheduler started", 20*time.Second)
	web, base := w.web()
	// A reader's request is under way, and waits for Redis.
	w.redis.Stop()
	answered := make(chan string, 1)
	go func() {
		res, err := http.Post(base+"/u/"+unsubscribeToken(t, "person0@example.org", ""), "application/x-www-form-urlencoded",
			strings.NewReader("List-Unsubscribe=One-Click"))
		if err != nil {
			answered <- err.Error()
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		answered <- res.Status
	}()
	<-time.After(500 * time.Millisecond) // it may be anywhere
	web.Signal(syscall.SIGTERM)
	scheduler.Signal(syscall.SIGTERM)
	for name, p := range map[string]*testkit.Proc{"web": web, "scheduler": scheduler} {
		if code := p.Wait(drained); code != 0 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
	if got := <-answered; !strings.HasPrefix(got, "503") {
		t.Errorf("the request under way was answered %q, expected 503: it is not stored", got)
	}
}

// TestASecondInterruptEndsAProcessAtOnce does not wait for what is on the wire. (A second
// SIGTERM does: see TestADeploymentIsRestarted.)
func TestASecondInterruptEndsAProcessAtOnce(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]syscall.Signal{"after SIGINT": syscall.SIGINT, "after SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, p, _ := hanging(t, "worker")
			p.Signal(first)
			limit := time.After(10 * time.Second) // half of what it would take after one
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-p.Done():
					return
				case <-limit:
					t.Fatal("still running")
				case <-tick.C: // the first must have been taken in before the second one
					p.Signal(syscall.SIGINT)
				}
			}
		})
	}
}
