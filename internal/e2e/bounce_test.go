package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"broadside/campaign/token"
	"broadside/internal/testkit"
)

// TestABounceComesBack has one of three messages go to a dead address. Postfix, which took
// it, learns that later and returns it; by each road the address ends on the suppression
// list, the bounce in the run's report, and the next run leaves the address out.
func TestABounceComesBack(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	for _, road := range []string{"mailbox", "listen"} {
		t.Run(road, func(t *testing.T) {
			t.Parallel()
			const dead, domain = "gone@dead.example", "bounce.acme.example"
			mx := testkit.NewScriptServer(t, func(stage, _ string) testkit.Answer {
				if stage == "rcpt" {
					return testkit.Answer{Text: "550 5.1.1 The email account that you tried to reach does not exist"}
				}
				return testkit.Answer{}
			})
			elsewhere := map[string]string{"dead.example": "smtp:" + bracketed(mx.Addr())}
			feedback := "feedback:\n  return_path: " + domain + "\n"
			var dovecot *testkit.DovecotServer
			if road == "listen" {
				listen := fmt.Sprintf("127.0.0.1:%d", testkit.Port(t))
				elsewhere[domain] = "lmtp:" + bracketed(listen)
				feedback += "  listen: " + listen + "\n"
			} else {
				dovecot = testkit.Dovecot(t, testkit.DovecotConfig{User: "bounces", Password: "hunter2", Cert: certs.Valid})
				feedback += fmt.Sprintf("  mailbox: \"imap://bounces:hunter2@127.0.0.1:%d/INBOX?move=Processed\"\n", dovecot.IMAP)
			}
			p := testkit.Postfix(t, testkit.PostfixConfig{User: "news", Password: "correct-horse", Cert: certs.Valid, Elsewhere: elsewhere})
			w := newWorld(t, setup{accounts: submission(p.Submission(), "starttls", "correct-horse", certs.CAFile) + feedback})
			w.audience([]string{"ada@alive.example", dead, "ben@alive.example"})
			if road == "listen" {
				w.web()
			}

			run := w.launch()
			w.worker()
			w.finished(run, time.Minute)
			if road == "mailbox" {
				dovecot.Deliver("INBOX", returned(t, p))
				w.run(0, "feedback", "poll")
			}
			w.until(run, time.Minute, "returned", func(d document) bool { return d.After["bounced"] == 1 })

			out, _ := w.run(0, "suppression", "check", dead, "ada@alive.example", "--json")
			if strings.Count(out, `"suppressed": true`) != 1 || !strings.Contains(out, `"reason": "bounce"`) {
				t.Errorf("the suppression list has %s", out)
			}
			next := w.finished(w.launch("--again"), time.Minute)
			if next.Counts["suppressed"] != 1 || next.Counts["accepted"] != 2 {
				t.Errorf("the next run has %v, want 1 suppressed and 2 accepted", next.Counts)
			}
		})
	}
}

// bracketed is an address as the transports of Postfix have it: no MX is looked up.
func bracketed(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return "[" + host + "]:" + port
}

// returned waits for the message that Postfix returns, and returns it.
func returned(t *testing.T, p *testkit.PostfixServer) string {
	t.Helper()
	for range testkit.Tries(time.Minute) {
		for _, d := range p.WaitDelivered(0, time.Minute) {
			if strings.HasPrefix(d.To, token.Prefix) {
				return string(d.Data)
			}
		}
	}
	t.Fatalf("nothing was returned:\n%s", p.Log())
	return ""
}
