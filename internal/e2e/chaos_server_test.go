package e2e

import (
	"slices"
	"time"
)

// serverFaults are those of the SMTP server. Each strikes at a stage of the
// dialogue that the trial's random numbers choose.
func serverFaults() []fault {
	before := []string{"connect", "ehlo", "mail", "rcpt", "data"}
	everywhere := append([]string{"dot"}, before...)
	return []fault{
		{name: "server refuses connections", strike: server("refuse", "listen")},
		{name: "server hangs", strike: server("hang", append([]string{"body"}, everywhere...)...), check: toldEverything},
		{name: "server drops the connection", strike: server("drop", append([]string{"body"}, before...)...)},
		{name: "server drops after the dot, taken", strike: server("drop", "dot")},
		{name: "server drops after the dot, not taken", strike: server("forget", "dot")},
		{name: "server says 421 in mid-session", slow: true, strike: server("421", "mail", "rcpt", "data", "dot")},
		{name: "server talks garbage", slow: true, strike: server("garbage", everywhere...)},
		{name: "server's reply has no end", slow: true, strike: server("endless", everywhere...)},
		{name: "server's line has 1 MB", slow: true, strike: server("long", everywhere...)},
		{name: "server drips", strike: server("drip", everywhere...), check: toldEverything},
	}
}

// server lets the sink misbehave for a while. It says itself how many of its
// messages it left without an answer. Besides those, one may be uncertain for each
// strike that was no reply, where the reply to an envelope was due: replies carry no
// mark, so that no one knows whether the one before belonged to the message before.
func server(action string, stages ...string) func(*trial) {
	return func(c *trial) {
		stage, every := stages[c.rnd.IntN(len(stages))], 1+c.rnd.IntN(5)
		d := c.lasting(500*time.Millisecond, 4*time.Second)
		c.note("%s: %s at %s, every %d., for %s", c.fault.name, action, stage, every, d)
		c.sink.Fault(stage, action, every)
		c.sleep(d)
		if stage != "listen" {
			c.await(chaosPatience, "dialogue that it struck", func() bool { return c.sink.Struck() > 0 })
		}
		if slices.Contains([]string{"garbage", "endless", "long"}, action) && slices.Contains([]string{"mail", "rcpt", "data"}, stage) {
			c.allowed += c.sink.Struck()
		}
		c.sink.Clear()
		c.over = time.Now()
	}
}
