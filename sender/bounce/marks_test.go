package bounce

import (
	"slices"
	"strings"
	"testing"

	"broadside/campaign"
)

const unknownAnn = "<ann@example.net>:\n550 5.1.1 user unknown"

func TestEveryDaemonIsKnown(t *testing.T) {
	t.Parallel()
	for _, phrase := range daemons {
		from := `"` + phrase + `" <no-reply@example.com>`
		if strings.HasSuffix(phrase, "@") {
			from = phrase + "example.com"
		}
		n := only(t, message("From: "+from+"\nSubject: About your message", unknownAnn))
		if n.Class != campaign.ClassHard || n.Recipient != "ann@example.net" {
			t.Errorf("%s: found %s for %q", phrase, n.Class, n.Recipient)
		}
	}
}

func TestEverySubjectIsKnown(t *testing.T) {
	t.Parallel()
	for _, phrase := range bounceSubjects {
		n := only(t, message("From: <server@example.com>\nSubject: "+phrase, "Your message could not be delivered to\n\n"+unknownAnn))
		if n.Class != campaign.ClassHard && n.Class != campaign.ClassDelayed || n.Recipient != "ann@example.net" {
			t.Errorf("%s: found %s for %q", phrase, n.Class, n.Recipient)
		}
		n = only(t, message("From: <ann@example.net>\nSubject: Re: "+phrase, "I have got this:\n\n"+unknownAnn))
		if n.Class == campaign.ClassHard {
			t.Errorf("%s: what a person answers is taken for a notice", phrase)
		}
	}
}

func TestEveryOpeningIsKnown(t *testing.T) {
	t.Parallel()
	for _, phrase := range bounceOpenings {
		n := only(t, message(daemonHeader, phrase+"\n\n<ann@example.net>"))
		if n.Class != campaign.ClassHard && n.Class != campaign.ClassDelayed || n.Recipient != "ann@example.net" {
			t.Errorf("%s: found %s for %q", phrase, n.Class, n.Recipient)
		}
	}
}

func TestEveryDelayIsOne(t *testing.T) {
	t.Parallel()
	for _, phrase := range delays {
		text := "Your message could not be delivered to\n\n" + unknownAnn + "\n\nNote: " + phrase + "."
		n := only(t, message(daemonHeader, text))
		if class, _, _ := Judge(nil, n); class != campaign.ClassDelayed {
			t.Errorf("%s: found %s, expected a delay", phrase, class)
		}
		for _, end := range givenUp {
			if n := only(t, message(daemonHeader, text+" "+end)); n.Class != campaign.ClassHard {
				t.Errorf("%s, %s: found %s, expected no delay", phrase, end, n.Class)
			}
		}
	}
}

// TestEveryReturnedMessageIsFound: its header gives a token, and its addresses are no
// recipients of the notice.
func TestEveryReturnedMessageIsFound(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("abcd2345", 5)
	for _, phrase := range returnedMarks {
		for _, line := range []string{"--- " + phrase + " ---", phrase + ":"} {
			text := "Your message could not be delivered to\n\n" + unknownAnn + "\n\n" + line + "\n\n"
			header := "Message-ID: <" + token + "@example.org>\nTo: <bob@example.net>\n\n<carl@example.net>: 550 no"
			n := only(t, message(daemonHeader, text+header))
			if n.Recipient != "ann@example.net" || len(n.Quoted) != 1 || n.Quoted[0] != token {
				t.Errorf("%s: found %q with %v", line, n.Recipient, n.Quoted)
			}
		}
	}
}

func TestEveryAutomaticReplyIsOne(t *testing.T) {
	t.Parallel()
	expect := func(phrase, kind string, text []byte) {
		t.Helper()
		n := only(t, text)
		class, reason, _ := Judge(nil, n)
		if class != campaign.ClassAutoReply || reason != kind {
			t.Errorf("%s: found %s, %s", phrase, class, reason)
		}
	}
	for _, phrase := range autoSubjects {
		expect(phrase, "automatic reply", message("From: ann@example.net\nSubject: "+phrase+" Our news", "Until Monday. 550 5.1.1 user unknown"))
	}
	for _, phrase := range autoTexts {
		expect(phrase, "automatic reply", message("From: ann@example.net\nSubject: Re: Our news", "Hello, "+phrase+" ..."))
	}
	for _, phrase := range challenges {
		expect(phrase, "challenge", message("From: ann@example.net\nSubject: Our news", "Hello, "+phrase+"."))
	}
	for _, field := range []string{
		"Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated (vacation)", "X-Autoreply: yes", "X-Autorespond: x", "Precedence: auto_reply", "X-Vacation: yes",
	} {
		expect(field, "automatic reply", message("From: ann@example.net\nSubject: Our news\n"+field, "User unknown, says 550 5.1.1"))
	}
}

// TestPhrasesAreInTheirForm: another one would never be found.
func TestPhrasesAreInTheirForm(t *testing.T) {
	t.Parallel()
	for _, table := range [][]string{daemons, bounceSubjects, bounceOpenings, delays, givenUp, returnedMarks, autoSubjects, autoTexts, challenges, doubts} {
		for _, phrase := range table {
			if form := plain(phrase); form != strings.TrimSpace(phrase) {
				t.Errorf("found %q, expected %q", phrase, form)
			}
		}
	}
}

func TestRecipientFormsFindTheirExamples(t *testing.T) {
	t.Parallel()
	for _, form := range slices.Concat(recipientForms, looseForms) {
		address, _ := recipientIn(form.example, []recipientForm{form}, nil)
		if address != "ann@example.net" {
			t.Errorf("%s: found %q in %q", form.id, address, form.example)
		}
	}
}

func TestDeadFormsFindTheirExamples(t *testing.T) {
	t.Parallel()
	for _, form := range deadForms {
		n := campaign.Notice{Class: campaign.ClassHard, Recipient: "ann@example.net", Reply: form.example}
		if class, reason, _ := Judge(nil, n); !form.expr.MatchString(plain(form.example)) || class != campaign.ClassHard {
			t.Errorf("%s: %q is %s by %s", form.id, form.example, class, reason)
		}
		for _, doubt := range doubts {
			n.Reply = form.example + " " + doubt
			if class, _, _ := Judge(nil, n); class == campaign.ClassHard {
				t.Errorf("%s: %q is hard", form.id, n.Reply)
			}
		}
	}
}
