package sender

import (
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

func TestAStreakIsOfOneFailureWithoutASuccess(t *testing.T) {
	t.Parallel()
	ended := func(state campaign.State, code int, enhanced, text string) ledger.Outcome {
		return ledger.Outcome{State: state, Reply: ledger.Reply{Code: code, Enhanced: enhanced, Text: text}}
	}
	policy := ended(campaign.Failed, 550, "5.7.1", "5.7.1 blocked at 12:00")
	for _, tt := range []struct {
		name     string
		outcomes []ledger.Outcome
		want     int // after the last
	}{
		{"one", []ledger.Outcome{policy}, 1},
		{"the text differs", []ledger.Outcome{policy, ended(campaign.Failed, 550, "5.7.1", "5.7.1 blocked at 12:01")}, 2},
		{"another code", []ledger.Outcome{policy, ended(campaign.Failed, 554, "5.7.1", "")}, 1},
		{"another enhanced code", []ledger.Outcome{policy, ended(campaign.Failed, 550, "5.6.0", "")}, 1},
		{"uncertain is another", []ledger.Outcome{ended(campaign.Failed, 0, "", "render"), ended(campaign.Uncertain, 0, "", "eof")}, 1},
		{"a success in between", []ledger.Outcome{policy, policy, ended(campaign.Accepted, 250, "", ""), policy}, 1},
		{"dead addresses in between", []ledger.Outcome{policy, ended(campaign.Bounced, 550, "5.1.1", ""), policy}, 2},
		{"dead addresses alone", []ledger.Outcome{ended(campaign.Bounced, 550, "5.1.1", ""), ended(campaign.Bounced, 550, "5.1.1", "")}, 0},
		{"deferred in between", []ledger.Outcome{policy, ended(campaign.Deferred, 450, "", ""), policy}, 2},
		{"given back in between", []ledger.Outcome{policy, {State: campaign.Pending}, policy}, 2},
		{"suppressed in between", []ledger.Outcome{policy, {State: campaign.Suppressed}, policy}, 2},
	} {
		var s streak
		got := 0
		for _, o := range tt.outcomes {
			got = s.add(o)
		}
		if got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSameSaysWhatHappenedToEach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    ledger.Outcome
		want string
	}{
		{ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Code: 550, Enhanced: "5.7.1", Text: "5.7.1 no"}}, "failed: 550 5.7.1 no"},
		{ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Code: 554, Text: "<ada@example.org>: no"}}, "failed: 554 <(address)>: no"},
		{ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Text: "render: x"}}, "failed: render: x"},
		{ledger.Outcome{State: campaign.Uncertain, Reply: ledger.Reply{Text: "eof: gone"}}, "got no answer after their message: eof: gone"},
		{ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Text: strings.Repeat("ä", 200)}}, "failed: " + strings.Repeat("ä", 160) + "..."},
	} {
		if got := same(tt.o); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestAClosingHasACode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    reply.Reply
		want campaign.Code
	}{
		{reply.Reply{Stage: reply.Auth, Code: 535, Text: "5.7.8 bad credentials"}, campaign.CodeAccountLogin},
		{reply.Reply{Stage: reply.Mail, Code: 530, Text: "5.7.0 authentication required"}, campaign.CodeAccountLogin},
		{reply.Reply{Stage: reply.Rcpt, Code: 550, Text: "relaying denied"}, campaign.CodeAccountRelay},
		{reply.Lost(reply.Connect, "conn_refused", "no"), campaign.CodeAccountAway},
		{reply.Lost(reply.Connect, "tls_cert", "expired"), campaign.CodeAccountTLS},
		{reply.Lost(reply.Connect, "setup", "no host"), campaign.CodeAccountSetup},
		{reply.Reply{Stage: reply.Connect, Code: 554, Text: "go away"}, campaign.CodeAccountShut},
		{reply.Reply{Stage: reply.Connect, Code: 421, Text: "4.7.0 later"}, campaign.CodeAccountBusy},
	} {
		c := closing{decision: reply.Classify(tt.r)}
		if got := c.code(); got != tt.want {
			t.Errorf("%s (rule %s): got %s, want %s", tt.r, c.decision.Rule, got, tt.want)
		}
	}
}
