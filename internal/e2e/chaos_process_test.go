package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"broadside/internal/testkit"
)

// processFaults are those of the processes that do not send.
func processFaults() []fault {
	return []fault{
		{name: "scheduler killed while it fires", launch: func(c *trial) string { return firedBy(c, (*testkit.Proc).Kill) }, check: oneRun},
		{name: "scheduler stopped while it fires", slow: true, launch: func(c *trial) string {
			return firedBy(c, func(p *testkit.Proc) {
				p.Signal(syscall.SIGTERM)
				c.exits(p, "scheduler")
			})
		}, check: oneRun},
		{name: "launch killed while it expands", launch: launchedTwice, check: oneRun},
		{name: "web killed while readers unsubscribe", strike: func(c *trial) { unsubscribing(c, (*testkit.Proc).Kill) }, check: areSuppressed},
		{name: "web stopped while readers unsubscribe", slow: true, strike: func(c *trial) {
			unsubscribing(c, func(p *testkit.Proc) {
				p.Signal(syscall.SIGTERM)
				c.exits(p, "web")
			})
		}, check: areSuppressed},
	}
}

// firedBy schedules the campaign and ends the scheduler at about the moment at
// which it fires; another goes on.
func firedBy(c *trial, end func(*testkit.Proc)) string {
	c.t.Helper()
	p := c.process(nil, "scheduler")
	p.WaitLine("scheduler started", time.Minute)
	at := time.Now().Add(4*time.Second + *chaosSlack).Truncate(time.Second) // it must not pass before it is stored
	c.world.run(0, "campaign", "schedule", "campaign.yaml", "--at", at.UTC().Format("2006-01-02T15:04:05Z"), "--yes")
	late := c.lasting(0, 700*time.Millisecond)
	c.note("%s: %s after its time", c.fault.name, late)
	c.sleep(time.Until(at.Add(late)))
	end(p)
	c.struck = time.Now()
	c.over = time.Now()
	c.process(nil, "scheduler").WaitLine("scheduler started", time.Minute)
	return c.firstRun(time.Minute)
}

// launchedTwice kills a launch in the middle and launches again.
func launchedTwice(c *trial) string {
	c.t.Helper()
	late := c.lasting(20*time.Millisecond, 400*time.Millisecond)
	c.note("%s: %s after its start", c.fault.name, late)
	p := c.process(nil, "campaign", "launch", "campaign.yaml", "--json")
	c.sleep(late)
	p.Kill()
	c.struck, c.over = time.Now(), time.Now()
	for range testkit.Tries(time.Minute) {
		cmd := c.command("campaign", "launch", "campaign.yaml", "--json")
		out, err := cmd.Output()
		switch code := cmd.ProcessState.ExitCode(); code {
		case 0:
			return parseDocument(c.t, string(out)).Run
		case 6: // the first was done by then, or is not known to be dead yet
			if run := c.firstRun(time.Minute); c.show(run).State != "expanding" {
				return run
			}
		default:
			c.t.Fatalf("%s: the second launch ended with %d: %v", c.what, code, err)
		}
	}
	c.t.Fatalf("%s: nobody could launch again", c.what)
	return ""
}

// oneRun checks that there is no run other than the one that was judged.
func oneRun(c *trial, _ *verdict) {
	if ids := c.runs(1, time.Minute); len(ids) != 1 {
		c.t.Errorf("%s: %d runs: %v", c.what, len(ids), ids)
	}
}

// readers is how many people unsubscribe, the last of the audience.
const readers = 60

// unsubscribing lets readers press their links until each has been answered
// with 200, while the web process is ended and started again.
func unsubscribing(c *trial, end func(*testkit.Proc)) {
	p, base := c.web()
	c.procs = append(c.procs, p)
	c.note("%s: after %d", c.fault.name, c.rnd.IntN(readers/2))
	var mu sync.Mutex
	var wg sync.WaitGroup
	answered := make(chan struct{}, readers)
	next := make(chan int, readers)
	for i := range readers {
		next <- c.people - 1 - i
	}
	close(next)
	for range 4 {
		wg.Go(func() {
			for i := range next {
				address := fmt.Sprintf(pattern, i)
				link := base + "/u/" + unsubscribeToken(c.t, address, c.run)
				for range testkit.Tries(time.Minute) { // as a mailbox provider does
					if posted(link) {
						break
					}
				}
				mu.Lock()
				c.excused[address] = time.Now()
				mu.Unlock()
				answered <- struct{}{}
			}
		})
	}
	for range 1 + c.rnd.IntN(readers/2) {
		<-answered
	}
	end(p)
	c.over = time.Now()
	again := c.world.start("web") // on the same port
	c.procs = append(c.procs, again)
	again.WaitLine("web started", time.Minute)
	wg.Wait()
}

// posted presses a link as a mail program does (RFC 8058).
func posted(link string) bool {
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.PostForm(link, url.Values{"List-Unsubscribe": {"One-Click"}})
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// areSuppressed checks that who was answered with 200 is suppressed, and got
// nothing later than that.
func areSuppressed(c *trial, _ *verdict) {
	args := []string{"suppression", "check", "--json"}
	for address := range c.excused {
		args = append(args, address)
	}
	out, _ := c.world.run(0, args...)
	var found []struct {
		Address    string
		Suppressed bool
	}
	c.must(json.Unmarshal([]byte(out), &found))
	suppressed := 0
	for _, f := range found {
		if f.Suppressed {
			suppressed++
		}
	}
	if suppressed != readers {
		c.t.Errorf("%s: %d of %d who were answered with 200 are suppressed", c.what, suppressed, readers)
	}
	for _, r := range c.sink.Records() {
		// Between its claim and its final dot a message takes a moment.
		if at, ok := c.excused[r.Rcpt]; ok && r.At.Sub(at) > 2*time.Second {
			c.t.Errorf("%s: %s got a message %s after its unsubscribe was acknowledged", c.what, r.Rcpt, r.At.Sub(at))
		}
	}
}
