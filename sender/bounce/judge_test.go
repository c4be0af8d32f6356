package bounce

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/sender/reply"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	hard := campaign.Notice{Class: campaign.ClassHard, Recipient: "ann@example.net"}
	for _, test := range []struct {
		name   string
		change func(n *campaign.Notice)
		want   campaign.Class
	}{
		{"nothing is known", func(n *campaign.Notice) {}, campaign.ClassSoft},
		{"nothing is known, but who said it", func(n *campaign.Notice) { n.Signed = true }, campaign.ClassHard},
		{"a signed status of a temporary failure", func(n *campaign.Notice) { n.Signed = true; n.Status = "4.4.7" }, campaign.ClassSoft},
		{"a signed status of a policy", func(n *campaign.Notice) { n.Signed = true; n.Status = "5.7.1" }, campaign.ClassBlocked},
		{"a status", func(n *campaign.Notice) { n.Status = "5.1.1" }, campaign.ClassHard},
		{"a reply", func(n *campaign.Notice) { n.Reply = "550 5.1.1 user unknown" }, campaign.ClassHard},
		{"a reply with its type", func(n *campaign.Notice) { n.Reply = "smtp; 550 5.1.1 user unknown" }, campaign.ClassHard},
		{"a reply in the words of a relay", func(n *campaign.Notice) {
			n.Reply = "host mx.example.net[192.0.2.7] said: 550 5.1.1 user unknown (in reply to RCPT TO command)"
		}, campaign.ClassHard},
		{"a reply without a code of three digits", func(n *campaign.Notice) { n.Reply = "5.1.1 <ann@example.net>... User unknown" }, campaign.ClassHard},
		{"a reply that wants confirmation", func(n *campaign.Notice) { n.Reply = "550 5.2.1 This mailbox is disabled" }, campaign.ClassSoft},
		{"a signed reply that wants confirmation", func(n *campaign.Notice) { n.Signed = true; n.Reply = "550 5.2.1 This mailbox is disabled" }, campaign.ClassHard},
		{"signed words that no rule knows", func(n *campaign.Notice) { n.Signed = true; n.Reply = "General" }, campaign.ClassHard},
		{"signed words about something else", func(n *campaign.Notice) { n.Signed = true; n.Reply = "Mail loop detected" }, campaign.ClassSoft},
		{"a signed reply that no rule knows", func(n *campaign.Notice) { n.Signed = true; n.Reply = "550 zzz" }, campaign.ClassSoft},
		{"codes alone, signed", func(n *campaign.Notice) { n.Signed = true; n.Reply = "smtp;550 5.1.1" }, campaign.ClassHard},
		{"codes alone", func(n *campaign.Notice) { n.Reply = "smtp; 550 5.1.1" }, campaign.ClassHard},
		{"codes of a full mailbox alone", func(n *campaign.Notice) { n.Status = "5.1.1"; n.Reply = "552 5.2.2" }, campaign.ClassSoft},
		{"codes of a temporary failure alone", func(n *campaign.Notice) { n.Signed = true; n.Reply = "450 4.1.1" }, campaign.ClassSoft},
		{"a reply that no rule knows", func(n *campaign.Notice) { n.Reply = "550 zzz" }, campaign.ClassSoft},
		{"a signed full mailbox", func(n *campaign.Notice) { n.Signed = true; n.Reply = "552 5.2.2 mailbox full" }, campaign.ClassSoft},
		{"a signed reply about a policy", func(n *campaign.Notice) { n.Signed = true; n.Reply = "550 5.7.1 Message rejected due to local policy" }, campaign.ClassBlocked},
		{"a signed reply about content", func(n *campaign.Notice) {
			n.Signed = true
			n.Reply = "554 5.7.1 Message rejected under suspicion of SPAM"
		}, campaign.ClassBlocked},
		{"a signed reply about the sender", func(n *campaign.Notice) {
			n.Signed = true
			n.Reply = "550 5.1.8 <news@example.com>: Sender address rejected: Domain not found"
		}, campaign.ClassBlocked},
		{"a signed reply about reputation", func(n *campaign.Notice) {
			n.Signed = true
			n.Reply = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"
		}, campaign.ClassBlocked},
		{"a provider's soft", func(n *campaign.Notice) {
			n.Signed = true
			n.Class = campaign.ClassSoft
			n.Reply = "550 5.1.1 user unknown"
		}, campaign.ClassSoft},
		{"a provider's block", func(n *campaign.Notice) {
			n.Signed = true
			n.Class = campaign.ClassBlocked
			n.Reply = "550 5.1.1 user unknown"
		}, campaign.ClassBlocked},
		{"a soft that is a policy's", func(n *campaign.Notice) { n.Class = campaign.ClassSoft; n.Reply = "550 5.7.1 local policy violation" }, campaign.ClassBlocked},
		{"a delay", func(n *campaign.Notice) { n.Class = campaign.ClassDelayed; n.Reply = "550 5.1.1 user unknown" }, campaign.ClassDelayed},
		{"no bounce", func(n *campaign.Notice) { n.Class = campaign.ClassUnsubscribed; n.Reply = "550 5.1.1 user unknown" }, campaign.ClassUnsubscribed},
		{"after the body", func(n *campaign.Notice) { n.Reply = "550 User unknown (in reply to end of DATA command)" }, campaign.ClassSoft},
		{"after the body, with its code", func(n *campaign.Notice) {
			n.Reply = "550 5.1.1 User unknown (in reply to end of DATA command)"
		}, campaign.ClassHard},
		{"before the recipient", func(n *campaign.Notice) { n.Reply = "550 User unknown (in reply to MAIL FROM command)" }, campaign.ClassBlocked},
		{"before the session", func(n *campaign.Notice) {
			n.Reply = "host mx.example.net refused to talk to me: 550 5.1.1 User unknown"
		}, campaign.ClassBlocked},
		{"a bracket behind the reply", func(n *campaign.Notice) {
			n.Reply = "It responded as follows: [550 5.1.1 User unknown] The attachment contains the headers."
		}, campaign.ClassHard},
		{"several lines", func(n *campaign.Notice) {
			n.Reply = "550-5.1.1 The email account that you tried to reach does not exist. 550-5.1.1 Please try again 550 5.1.1 gsmtp"
		}, campaign.ClassHard},
		{"words and doubts", func(n *campaign.Notice) { n.Reply = "User unknown, or you may not write to it" }, campaign.ClassSoft},
		{"words of a rule that is made for replies", func(n *campaign.Notice) { n.Reply = "The address of the account you wrote to is invalid" }, campaign.ClassSoft},
	} {
		n := hard
		test.change(&n)
		if class, reason, _ := Judge(nil, n); class != test.want || reason == "" {
			t.Errorf("%s: found %s by %s, expected %s", test.name, class, reason, test.want)
		}
	}
}

// TestRulesOfAUserJudge: they are asked first.
func TestRulesOfAUserJudge(t *testing.T) {
	t.Parallel()
	rules, err := reply.Load("mine.yaml", []byte("version: 1\nrules:\n- {id: mine, match: {code: [\"550\"], text: zzz}, verdict: suppress_hard}\n"))
	if err != nil {
		t.Fatal(err)
	}
	n := campaign.Notice{Class: campaign.ClassHard, Recipient: "ann@example.net", Reply: "550 zzz"}
	if class, reason, _ := Judge(rules, n); class != campaign.ClassHard || reason != "mine" {
		t.Errorf("found %s by %s", class, reason)
	}
}

// A reply that the rules want confirmed says how often, in any bounce message that quotes
// it; words that quote no reply, and what is not called hard, are no sign.
func TestJudgeSaysHowOftenAReplyMustCome(t *testing.T) {
	t.Parallel()
	const disabled = "550 5.2.1 This mailbox is disabled"
	for _, tt := range []struct {
		name string
		n    campaign.Notice
		want int
	}{
		{"a reply", campaign.Notice{Class: campaign.ClassHard, Reply: disabled}, 2},
		{"in the words of a relay", campaign.Notice{Class: campaign.ClassHard, Reply: "host mx.example.net[192.0.2.7] said: " + disabled + " (in reply to RCPT TO command)"}, 2},
		{"of another number", campaign.Notice{Class: campaign.ClassHard, Recipient: "ann@icloud.com", Reply: "550 5.1.1 <ann@icloud.com>: inactive email address"}, 3},
		{"signed: it counts at once", campaign.Notice{Class: campaign.ClassHard, Signed: true, Reply: disabled}, 0},
		{"called soft", campaign.Notice{Class: campaign.ClassSoft, Reply: disabled}, 0},
		{"late", campaign.Notice{Class: campaign.ClassDelayed, Reply: disabled}, 0},
		{"without a reply", campaign.Notice{Class: campaign.ClassHard, Reply: "This mailbox is disabled"}, 0},
		{"a reply that suppresses at once", campaign.Notice{Class: campaign.ClassHard, Reply: "550 5.1.1 user unknown"}, 0},
		{"a full mailbox", campaign.Notice{Class: campaign.ClassHard, Reply: "552 5.2.2 mailbox full"}, 0},
	} {
		class, reason, confirm := Judge(nil, tt.n)
		if confirm != tt.want || confirm > 0 && class != campaign.ClassSoft {
			t.Errorf("%s: found %s by %s, confirmed by %d, expected %d", tt.name, class, reason, confirm, tt.want)
		}
	}
}

// texts returns the lines of a file that are no comments, without a code at their head.
func texts(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	var all []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) > 4 && hasCode(line[:3]) {
			line = line[4:]
		}
		all = append(all, line)
	}
	if len(all) < 100 {
		t.Fatalf("found %d texts in %s", len(all), file)
	}
	return all
}

// TestLivingAreNeverDead gives what servers say of addresses in use to every form of a
// notice, with codes that say that there is no such address.
func TestLivingAreNeverDead(t *testing.T) {
	t.Parallel()
	for _, text := range texts(t, "../reply/testdata/living.txt") {
		for _, said := range []string{
			text, "550 " + text, "550 5.1.1 " + text, "smtp; 550-5.1.1 " + text, "host mx.example.net[192.0.2.7] said: 550 5.1.1 " + text + " (in reply to RCPT TO command)",
			"Remote host said: 550 5.1.1 " + text + " Giving up on 192.0.2.7.", "[550 5.1.1 " + text + "]",
		} {
			for _, status := range []string{"", "5.1.1"} {
				n := campaign.Notice{Class: campaign.ClassHard, Recipient: "ann@example.net", Status: status, Reply: said}
				if class, reason, _ := Judge(nil, n); class == campaign.ClassHard {
					t.Errorf("%q with %q is hard by %s", said, status, reason)
				}
			}
		}
		neverHard(t, message(daemonHeader+"\nSubject: Undelivered Mail Returned to Sender", "Your message could not be delivered to\n\n<ann@example.net>:\n550 5.1.1 "+text))
		neverHard(t, message(daemonHeader+"\nSubject: Undelivered Mail Returned to Sender", "Your message could not be delivered to\n\n<ann@example.net>\n\n"+text))
		neverHard(t, report("Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 "+text))
	}
}

func neverHard(t *testing.T, text []byte) {
	t.Helper()
	for _, word := range judged(t, text) {
		if word == "hard" {
			t.Errorf("hard: %s", text)
		}
	}
}

// TestDeadAreSeen is the other side: what servers say of addresses that are not there
// is understood in a notice as it is on the wire.
func TestDeadAreSeen(t *testing.T) {
	t.Parallel()
	seen, all := 0, 0
	for _, text := range texts(t, "../reply/testdata/dead.txt") {
		if reply.Classify(reply.New(reply.Rcpt, 550, text)).Verdict != reply.SuppressHard {
			continue
		}
		all++
		got := judged(t, report("Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 "+text))
		if got[0] == "hard" {
			seen++
		}
	}
	if seen*100 < all*95 {
		t.Errorf("%d of %d are hard", seen, all)
	}
	t.Logf("%d of %d are hard", seen, all)
}
