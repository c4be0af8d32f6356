package sender

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/sender/reply"
)

func TestAStreakIsOfOneFailureWithoutASuccess(t *testing.T) {
	t.Parallel()
	ended := func(state campaign.State, code int, enhanced, text string) ledger.Outcome {
		return ledger.Outcome{State: state, Reply: ledger.Reply{Code: code, Enhanced: enhanced, Text: text}}
	}
	policy := ended(campaign.Failed, 550, "5.7.1", "5.7.1 blocked at 12:00")
	unprintable := ended(campaign.Failed, 0, "", "render")
	accepted := ended(campaign.Accepted, 250, "", "")
	in := func(part int, o ledger.Outcome) func(*failures) {
		return func(f *failures) { f.add(ledger.Ref{Part: part}, nil, o) }
	}
	for _, tt := range []struct {
		name  string
		steps []func(*failures)
		want  map[int]int // the length of each part's streak
	}{
		{"one", []func(*failures){in(0, policy)}, map[int]int{0: 1}},
		{"the text differs", []func(*failures){in(0, policy), in(0, ended(campaign.Failed, 550, "5.7.1", "5.7.1 blocked at 12:01"))}, map[int]int{0: 2}},
		{"another code", []func(*failures){in(0, policy), in(0, ended(campaign.Failed, 554, "5.7.1", ""))}, map[int]int{0: 1}},
		{"another enhanced code", []func(*failures){in(0, policy), in(0, ended(campaign.Failed, 550, "5.6.0", ""))}, map[int]int{0: 1}},
		{"uncertain is another", []func(*failures){in(0, policy), in(0, ended(campaign.Uncertain, 0, "", "eof"))}, map[int]int{0: 1}},
		{"a success in between", []func(*failures){in(0, policy), in(0, policy), in(0, accepted), in(0, policy)}, map[int]int{0: 1}},
		{"a success elsewhere in between", []func(*failures){in(0, policy), in(1, accepted), in(0, policy)}, map[int]int{0: 2}},
		{"failures elsewhere in between", []func(*failures){in(0, policy), in(1, policy), in(0, policy)}, map[int]int{0: 2, 1: 1}},
		{"dead addresses in between", []func(*failures){in(0, policy), in(0, ended(campaign.Bounced, 550, "5.1.1", "")), in(0, policy)}, map[int]int{0: 2}},
		{"deferred in between", []func(*failures){in(0, policy), in(0, ended(campaign.Deferred, 450, "", "")), in(0, policy)}, map[int]int{0: 2}},
		{"given back in between", []func(*failures){in(0, policy), in(0, ledger.Outcome{State: campaign.Pending}), in(0, policy)}, map[int]int{0: 2}},
		{"suppressed in between", []func(*failures){in(0, policy), in(0, ledger.Outcome{State: campaign.Suppressed}), in(0, policy)}, map[int]int{0: 2}},
		{"messages that cannot be made, anywhere", []func(*failures){in(0, unprintable), in(1, unprintable), in(2, unprintable)}, map[int]int{ownFault: 3}},
		{"messages that can be made in between", []func(*failures){in(0, unprintable), in(1, accepted), in(2, unprintable)}, map[int]int{ownFault: 1}},
	} {
		f := &failures{}
		for _, step := range tt.steps {
			step(f)
		}
		got := map[int]int{}
		for part, s := range f.streaks {
			got[part] = s.n
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: streaks (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What stops a run is not final: the failures of the streak are returned to be
// taken back, and those that follow end no recipient until the run goes on.
func TestWhatStopsARunEndsNoRecipient(t *testing.T) {
	t.Parallel()
	policy := ledger.Outcome{State: campaign.Failed, Reply: ledger.Reply{Code: 553, Enhanced: "5.7.1", Text: "5.7.1 [TSS09] blocked"}}
	f := &failures{}
	for i := range sameFailures {
		o, pause := f.add(ledger.Ref{Part: 3, Index: i}, nil, policy)
		last := i == sameFailures-1
		if pause != last || (o.State == campaign.Pending) != last {
			t.Fatalf("failure %d: recorded as %v, pause %v", i+1, o.State, pause)
		}
	}

	if o, _ := f.add(ledger.Ref{Part: 1}, nil, policy); o.State != campaign.Pending {
		t.Errorf("a failure while the run stops is recorded as %v", o.State)
	}

	failed := f.stop()
	if len(failed) != 1 || len(failed[3]) != sameFailures-1 {
		t.Errorf("to be taken back: %v, want the first %d of part 3", failed, sameFailures-1)
	}

	f.resume()
	if o, pause := f.add(ledger.Ref{Part: 3}, nil, policy); o.State != campaign.Failed || pause {
		t.Errorf("when the run goes on: recorded as %v, pause %v", o.State, pause)
	}

	if again := f.stop(); len(again[3]) != 1 {
		t.Errorf("to be taken back the second time: %v, want one", again)
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
		want codes.Code
	}{
		{reply.Reply{Stage: reply.Auth, Code: 535, Text: "5.7.8 bad credentials"}, codes.AccountLogin},
		{reply.Reply{Stage: reply.Mail, Code: 530, Text: "5.7.0 authentication required"}, codes.AccountLogin},
		{reply.Reply{Stage: reply.Rcpt, Code: 550, Text: "relaying denied"}, codes.AccountRelay},
		{reply.Lost(reply.Connect, "conn_refused", "no"), codes.AccountAway},
		{reply.Lost(reply.Connect, "tls_cert", "expired"), codes.AccountTLS},
		{reply.Lost(reply.Connect, "setup", "no host"), codes.AccountSetup},
		{reply.Reply{Stage: reply.Connect, Code: 554, Text: "go away"}, codes.AccountShut},
		{reply.Reply{Stage: reply.Connect, Code: 421, Text: "4.7.0 later"}, codes.AccountBusy},
	} {
		c := closing{decision: reply.Classify(tt.r)}
		if got := c.code(); got != tt.want {
			t.Errorf("%s (rule %s): got %s, want %s", tt.r, c.decision.Rule, got, tt.want)
		}
	}
}
