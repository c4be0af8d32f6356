package launch

import (
	"testing"

	"broadside/campaign/ledger"
)

func TestReasonMatches(t *testing.T) {
	t.Parallel()
	last := func(reason string, r ledger.Reply) ledger.LastReply {
		return ledger.LastReply{Reason: reason, Reply: r}
	}
	blocked := last("", ledger.Reply{Code: 554, Enhanced: "5.7.1", Text: "Blocked  by policy"})
	for _, tc := range []struct {
		last ledger.LastReply
		want string
		ok   bool
	}{
		{blocked, "blocked by POLICY", true},
		{blocked, "554 5.7.1 blocked", true},
		{blocked, "5.7", true},
		{blocked, "550", false},
		{blocked, "expired", false},
		{last("expired", ledger.Reply{Code: 450, Text: "later"}), "expired", true},
		{last("attempts", ledger.Reply{Code: 450, Text: "later"}), "attempts", true},
		{last("attempts", ledger.Reply{Code: 450, Text: "later"}), "no attempt left", true},
		{last("attempts", ledger.Reply{Code: 450, Text: "later"}), "expired", false},
		{last("stuck", ledger.Reply{}), "stuck", true},
		{last("", ledger.Reply{Text: "greeting"}), "0", false},
	} {
		if got := reasonMatches(tc.last, tc.want); got != tc.ok {
			t.Errorf("reasonMatches(%+v, %q) = %v", tc.last, tc.want, got)
		}
	}
}
