package reply_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"broadside/campaign/codes"
	"broadside/sender/reply"

	"github.com/google/go-cmp/cmp"
)

func TestClassifyReplies(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		cols := strings.Split(line, "\t")
		if len(cols) != 4 {
			t.Fatalf("%q: %d columns, want 4", line, len(cols))
		}
		n++
		r := reply.Lost(reply.Stage(cols[0]), "", "")
		if event, ok := strings.CutPrefix(cols[1], "event:"); ok {
			r.Event = event
		} else {
			if r, err = reply.Parse(strings.ReplaceAll(cols[1], `\n`, "\r\n")); err != nil {
				t.Fatal(err)
			}
			r.Stage = reply.Stage(cols[0])
		}
		d := reply.Classify(r)
		if diff := cmp.Diff(cols[2:], []string{string(d.Verdict), d.Rule}); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", cols[0], cols[1], diff)
		}
	}
	if n < 60 {
		t.Errorf("read %d replies, want at least 60", n)
	}
}

func TestDecisionCarriesTheRule(t *testing.T) {
	t.Parallel()
	got := reply.Classify(reply.New(reply.Rcpt, 450, "4.7.0 rate limit exceeded"))
	want := reply.Decision{
		Rule: "g-rate", Verdict: reply.RetryLane, Action: "halve_rate",
		Backoff: 5 * time.Minute, Factor: 2, MaxBackoff: 2 * time.Hour,
		Escalate: reply.Escalate{Count: 10, Window: time.Hour, Verdict: reply.PauseLane, Pause: 30 * time.Minute},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := reply.Classify(reply.Lost(reply.Mail, reply.IdleClosed, "")); !d.AtOnce || d.Manual || d.Backoff != 0 {
		t.Errorf("idle connection closed: got %+v, want no pause", d)
	}
	if d := reply.Classify(reply.New(reply.Auth, 535, "no")); d.AtOnce || !d.Manual {
		t.Errorf("wrong password: got %+v, want a matter for people", d)
	}
}

// What an operator looks up comes with the decision, and a rule that wants to
// be confirmed says so and suppresses no one by itself.
func TestDecisionCarriesCodeAndConfirm(t *testing.T) {
	t.Parallel()
	if d := reply.Classify(reply.New(reply.Auth, 535, "no")); d.Code != codes.AccountLogin {
		t.Errorf("wrong password: got code %q, want %s", d.Code, codes.AccountLogin)
	}
	disabled := reply.New(reply.Rcpt, 550, "5.2.1 This mailbox is disabled")
	if d := reply.Classify(disabled); d.Confirm != 2 || d.Verdict != reply.FailNoSuppress {
		t.Errorf("disabled: got %s, confirm %d; want %s until confirmed twice", d.Verdict, d.Confirm, reply.FailNoSuppress)
	}
	unknown := reply.New(reply.Rcpt, 550, "5.1.1 User unknown")
	if d := reply.Classify(unknown); d.Confirm != 0 || d.Verdict != reply.SuppressHard {
		t.Errorf("unknown: got %s, confirm %d; want %s at once", d.Verdict, d.Confirm, reply.SuppressHard)
	}
	disabled.Stage = reply.Data
	if d := reply.Classify(disabled); d.Confirm != 0 {
		t.Errorf("at DATA: got confirm %d, want 0: it names no recipient", d.Confirm)
	}
}

// What a recipient wishes is theirs alone: neither our IP nor the address is
// at fault.
func TestWishesAreTheRecipientsAlone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"5.7.1 Message rejected: sender is on the user's block list",
		"5.1.1 Refused due to recipient preferences",
		"5.7.1 Your message was rejected by this user",
		"blocked by the recipient's personal filter",
		"The recipient does not accept mail from you",
		"550 5.7.1 Blacklisted by recipient",
		"5.2.1 This mailbox only accepts mail from known senders",
		"message rejected due to user rules",
		"User refuses to receive this mail",
		"you are not allowed to send mail to this user",
	} {
		d := reply.Classify(reply.New(reply.Rcpt, 550, text))
		if d.Verdict != reply.FailNoSuppress || d.Scope != "recipient" || d.Confirm != 0 {
			t.Errorf("%s: %s, scope %q, confirm %d by %s", text, d.Verdict, d.Scope, d.Confirm, d.Rule)
		}
	}
}

// An account that is stopped, or has sent what it may, is told from a
// recipient's, also where the words are the same.
func TestWhoseAccountItIs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		stage reply.Stage
		text  string
		code  codes.Code // empty: the recipient's
	}{
		{reply.Mail, "550 5.7.1 Account disabled", codes.AccountSuspended},
		{reply.Rcpt, "550 5.2.1 Account disabled", ""},
		{reply.Rcpt, "554 5.7.1 This account has been suspended", ""},
		{reply.Rcpt, "554 5.7.1 Your account has been suspended", codes.AccountSuspended},
		{reply.Dot, "554 Message rejected: Sending paused for this account.", codes.AccountSuspended},
		{reply.Mail, "550 5.4.5 Daily user sending limit exceeded", codes.AccountQuota},
		{reply.Rcpt, "552 5.2.2 Mailbox quota exceeded", ""},
		{reply.Rcpt, "550 Recipient has exceeded their daily limit", ""},
		{reply.Rcpt, "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients.", codes.AccountQuota},
		{reply.Dot, "554 Message rejected: Email address is not verified.", codes.AccountSender},
		{reply.Rcpt, "450 4.2.1 The user you are trying to contact is receiving email too quickly.", ""},
	}
	for _, tt := range tests {
		r, err := reply.Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		r.Stage = tt.stage
		d := reply.Classify(r)
		if ours := d.Verdict == reply.PauseAccount; ours != (tt.code != "") || d.Code != tt.code {
			t.Errorf("%s: %s: %s with code %q by %s, want code %q", tt.stage, tt.text, d.Verdict, d.Code, d.Rule, tt.code)
		}
	}
}

// A reply of a relay and one of the recipient's MX differ.
func TestTransport(t *testing.T) {
	t.Parallel()
	r := reply.New(reply.Rcpt, 550, "5.7.1 Relaying denied")
	if d := reply.Classify(r); d.Verdict != reply.PauseAccount {
		t.Errorf("relay: got %s, want %s", d.Verdict, reply.PauseAccount)
	}
	r.Direct = true
	if d := reply.Classify(r); d.Verdict != reply.FailNoSuppress {
		t.Errorf("direct: got %s, want %s", d.Verdict, reply.FailNoSuppress)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     reply.Reply
	}{
		{"one line", "550 5.7.1 no", reply.Reply{Stage: "rcpt", Code: 550, Enhanced: "5.7.1", Text: "5.7.1 no"}},
		{"code alone", "421", reply.Reply{Stage: "rcpt", Code: 421}},
		{"blank around", "  250 OK \r\n", reply.Reply{Stage: "rcpt", Code: 250, Text: "OK"}},
		{"multi-line", "550-5.1.1 a\r\n550-\r\n550 5.1.1 b", reply.Reply{Stage: "rcpt", Code: 550, Enhanced: "5.1.1", Text: "5.1.1 a  5.1.1 b"}},
		{"folded", "550 5.1.1 a\n  and b", reply.Reply{Stage: "rcpt", Code: 550, Enhanced: "5.1.1", Text: "5.1.1 a and b"}},
		{"another number in the text", "550 a\n250 b", reply.Reply{Stage: "rcpt", Code: 550, Text: "a 250 b"}},
		{"qmail", "550 sorry (#x) no (#5.1.1)", reply.Reply{Stage: "rcpt", Code: 550, Enhanced: "5.1.1", Text: "sorry (#x) no (#5.1.1)"}},
		{"address is no code", "550 5.1.1.2 blocked", reply.Reply{Stage: "rcpt", Code: 550, Text: "5.1.1.2 blocked"}},
		{"word is no code", "550 5.1.1a", reply.Reply{Stage: "rcpt", Code: 550, Text: "5.1.1a"}},
		{"four digits", "550 5.1.1000 x", reply.Reply{Stage: "rcpt", Code: 550, Text: "5.1.1000 x"}},
		{"colon after", "550 5.1.1: x", reply.Reply{Stage: "rcpt", Code: 550, Enhanced: "5.1.1", Text: "5.1.1: x"}},
		{"control characters", "550 a\x00\x1b[31mb\tc", reply.Reply{Stage: "rcpt", Code: 550, Text: `a\x00\x1b[31mb c`}},
		{"not UTF-8", "550 \xff\xfe", reply.Reply{Stage: "rcpt", Code: 550, Text: `\xff\xfe`}},
		{"UTF-8", "550 Empfänger\u202eda", reply.Reply{Stage: "rcpt", Code: 550, Text: `Empfänger\u202eda`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reply.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, in := range []string{"", " \n", "hello", "5501", "150 no", "600 no", "55", "250\x00", "-550 x"} {
		if r, err := reply.Parse(in); err == nil {
			t.Errorf("Parse(%q): got %+v, want an error", in, r)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		r    reply.Reply
		want string
	}{
		{reply.New(reply.Rcpt, 550, "5.1.1 no"), "550 5.1.1 no"},
		{reply.New(reply.Rcpt, 550, ""), "550"},
		{reply.Lost(reply.Dot, reply.EOF, "closed"), "eof: closed"},
		{reply.Lost(reply.Dot, reply.EOF, ""), "eof"},
	}
	for _, tt := range tests {
		if got := tt.r.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if r := reply.New(reply.Rcpt, 250, strings.Repeat("ä", 600)); len(r.Text) > reply.MaxText || !strings.HasPrefix(r.Text, "ää") {
		t.Errorf("text of %d bytes: want at most %d", len(r.Text), reply.MaxText)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"550 5.1.1 no such user", "250-a\r\n250 b", "421", "550 (#5.1.1)", "550 \x00\xff", "", "354-", "550-5.7.1\n250 x",
		"550 " + strings.Repeat("x", 600), "(connection lost)",
	} {
		f.Add(s, "rcpt")
	}
	f.Fuzz(func(t *testing.T, text, stage string) {
		r, err := reply.Parse(text)
		if err != nil {
			if len(err.Error()) > 4*reply.MaxText {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			return
		}
		if r.Code < 200 || r.Code > 599 || len(r.Text) > reply.MaxText || strings.ContainsAny(r.Text, "\r\n\x00\x1b") {
			t.Errorf("Parse(%q) = %+v", text, r)
		}
		if again := reply.New(r.Stage, r.Code, r.Text+r.Rest); again != r {
			t.Errorf("not stable: %+v, then %+v", r, again)
		}
		r.Stage = reply.Stage(stage)
		if d := reply.Classify(r); d.Verdict == "" || (d.Verdict == reply.SuppressHard && (r.Code < 500 || stage != "rcpt" && stage != "dot")) {
			t.Errorf("Classify(%+v) = %+v", r, d)
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	for _, r := range []reply.Reply{reply.New(reply.Dot, 250, "2.0.0 Ok: queued as 4FzQ1x2Lz"), reply.New(reply.Rcpt, 550, "5.1.1 no such user")} {
		b.Run(r.Text[:5], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				reply.Classify(r)
			}
		})
	}
}
