package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/mail"
	"net/smtp"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign/token"
	"broadside/internal/testkit"
)

// TestABounceComesBack has one of three messages go to a dead address. Postfix, which took
// it, learns that later and returns it; and the provider of another reports that its reader
// called it spam. By each road both addresses end on the suppression list, what came back
// in the run's report and in the trace of the address, and the next run leaves them out.
func TestABounceComesBack(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	for _, road := range []string{"mailbox", "listen"} {
		t.Run(road, func(t *testing.T) {
			t.Parallel()
			const dead, annoyed, domain = "gone@dead.example", "ben@alive.example", "bounce.acme.example"
			mx := testkit.NewScriptServer(t, func(stage, _ string) testkit.Answer {
				if stage == "rcpt" {
					return testkit.Answer{Text: "550 5.1.1 The email account that you tried to reach does not exist"}
				}
				return testkit.Answer{}
			})
			listen := ""
			elsewhere := map[string]string{"dead.example": "smtp:" + bracketed(mx.Addr())}
			feedback := "feedback:\n  return_path: " + domain + "\n"
			var dovecot *testkit.DovecotServer
			if road == "listen" {
				listen = fmt.Sprintf("127.0.0.1:%d", testkit.Port(t))
				elsewhere[domain] = "lmtp:" + bracketed(listen)
				feedback += "  listen: " + listen + "\n"
			} else {
				dovecot = testkit.Dovecot(t, testkit.DovecotConfig{User: "bounces", Password: "hunter2", Cert: certs.Valid})
				feedback += fmt.Sprintf("  mailbox: \"imap://bounces:hunter2@127.0.0.1:%d/INBOX?move=Processed\"\n", dovecot.IMAP)
			}
			p := testkit.Postfix(t, testkit.PostfixConfig{User: "news", Password: "correct-horse", Cert: certs.Valid, Elsewhere: elsewhere})
			w := newWorld(t, setup{accounts: submission(p.Submission(), "starttls", "correct-horse", certs.CAFile) + feedback})
			w.audience([]string{"ada@alive.example", dead, annoyed})
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

			to, report := complaint(t, p, annoyed)
			if road == "mailbox" {
				dovecot.Deliver("INBOX", report)
				w.run(0, "feedback", "poll")
			} else if err := smtp.SendMail(listen, nil, "", []string{to}, []byte(report)); err != nil {
				t.Fatal(err)
			}
			w.until(run, time.Minute, "complained about", func(d document) bool { return d.After["complained"] == 1 })

			out, _ := w.run(0, "suppression", "check", dead, annoyed, "ada@alive.example", "--json")
			if strings.Count(out, `"suppressed": true`) != 2 || !strings.Contains(out, `"reason": "bounce"`) || !strings.Contains(out, `"reason": "complaint"`) {
				t.Errorf("the suppression list has %s", out)
			}
			for address, kind := range map[string]string{dead: "bounced", annoyed: "complained"} {
				if out, _ := w.run(0, "trace", address, "--json"); !strings.Contains(out, `"kind": "`+kind+`"`) || !strings.Contains(out, `"kind": "suppressed"`) {
					t.Errorf("the trace of %s has %s", address, out)
				}
			}
			next := w.finished(w.launch("--again"), time.Minute)
			if next.Counts["suppressed"] != 2 || next.Counts["accepted"] != 1 {
				t.Errorf("the next run has %v, want 2 suppressed and 1 accepted", next.Counts)
			}
		})
	}
}

var pollSeeds = flag.Int("poll.seeds", 3, "how often TestAKilledPollLosesNoBounce fills each mailbox")

// TestAKilledPollLosesNoBounce kills the process that reads a bounce mailbox, at moments
// by chance, and again and again. In the end each bounce has been counted once.
func TestAKilledPollLosesNoBounce(t *testing.T) {
	const people, domain = 40, "bounce.acme.example" // people in each fill
	certs := testkit.Certs(t)
	for _, road := range []string{"imap://bounces:hunter2@127.0.0.1:%d/INBOX?move=Processed", "imap://bounces:hunter2@127.0.0.1:%d/INBOX", "pop3://bounces:hunter2@127.0.0.1:%d"} {
		protocol, rest, _ := strings.Cut(road, ":")
		t.Run(protocol+map[bool]string{true: " and moves"}[strings.HasSuffix(rest, "Processed")], func(t *testing.T) {
			t.Parallel()
			dovecot := testkit.Dovecot(t, testkit.DovecotConfig{User: "bounces", Password: "hunter2", Cert: certs.Valid})
			port := dovecot.IMAP
			if protocol == "pop3" {
				port = dovecot.POP3
			}
			sink := testkit.NewRecsink(t)
			w := newWorld(t, setup{
				people:   people * *pollSeeds,
				accounts: account("sink", sink.Addr(), "") + "feedback: {return_path: " + domain + ", mailbox: \"" + fmt.Sprintf(road, port) + "\"}\n",
			})
			run := w.launch()
			w.worker()
			w.finished(run, time.Minute)
			sent := slices.DeleteFunc(sink.Records(), func(r testkit.Record) bool { return r.Kind != 'A' })

			kills := 0
			for seed := range *pollSeeds {
				chance := rand.New(rand.NewPCG(uint64(seed), 14))
				for _, r := range sent[seed*people : (seed+1)*people] {
					dovecot.Deliver("INBOX", notification(r, domain))
				}
				for range 5 {
					poll := w.start("feedback", "poll")
					select {
					case <-poll.Done():
					case <-time.After(time.Duration(chance.IntN(180)) * time.Millisecond):
						poll.Kill()
						kills++
					}
				}
				w.run(0, "feedback", "poll")
				want := int64((seed + 1) * people)
				if d := w.show(run); d.After["bounced"] != want {
					t.Fatalf("fill %d: %d bounces were counted, want %d", seed, d.After["bounced"], want)
				}
			}
			t.Logf("%d polls were killed", kills)

			addresses := make([]string, len(sent))
			for i, r := range sent {
				addresses[i] = r.Rcpt
			}
			out, _ := w.run(0, append([]string{"suppression", "check", "--json"}, addresses...)...)
			if n := strings.Count(out, `"suppressed": true`); n != len(sent) {
				t.Errorf("%d of %d addresses are suppressed", n, len(sent))
			}
		})
	}
}

// notification is a bounce message (RFC 3464) about a message that was sent.
func notification(r testkit.Record, domain string) string {
	id := strings.Trim(r.ID, "<>")
	local, _, _ := strings.Cut(id, "@")
	return strings.ReplaceAll(fmt.Sprintf(`From: MAILER-DAEMON@mx.example
To: %s
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; %s
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 user unknown

--b
Content-Type: text/rfc822-headers

Message-ID: <%s>

--b--
`, token.Prefix+local+"@"+domain, r.Rcpt, id), "\n", "\r\n")
}

// bracketed is an address as the transports of Postfix have it: no MX is looked up.
func bracketed(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return "[" + host + "]:" + port
}

// complaint returns a feedback report (RFC 5965) about the message that Postfix delivered
// to an address, and where it is sent.
func complaint(t *testing.T, p *testkit.PostfixServer, address string) (to, report string) {
	t.Helper()
	for range testkit.Tries(time.Minute) {
		for _, d := range p.WaitDelivered(0, time.Minute) {
			if d.To != address {
				continue
			}
			m, err := mail.ReadMessage(bytes.NewReader(d.Data))
			if err != nil {
				t.Fatal(err)
			}
			to = strings.Trim(m.Header.Get("Return-Path"), "<>")
			text := "From: abuse@provider.example\nTo: " + to + "\nSubject: complaint\nMIME-Version: 1.0\n" +
				"Content-Type: multipart/report; report-type=feedback-report; boundary=\"r\"\n\n--r\nContent-Type: text/plain\n\nA reader called this spam.\n\n" +
				"--r\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: provider/1\nVersion: 1\nOriginal-Rcpt-To: " + address + "\n\n" +
				"--r\nContent-Type: message/rfc822\n\n" + strings.ReplaceAll(string(d.Data), "\r\n", "\n") + "\n--r--\n"
			return to, strings.ReplaceAll(text, "\n", "\r\n")
		}
	}
	t.Fatalf("nothing was delivered to %s:\n%s", address, p.Log())
	return "", ""
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
