package address_test

import (
	"testing"

	"broadside/campaign/address"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "",
		"550 5.1.1 no such user":          "550 5.1.1 no such user",
		"554 5.7.1 <ada@example.org>: no": "554 5.7.1 <(address)>: no",
		"a\n ada%40example.org b":         "a\n (address) b",
		`"a b"＠example.org, ada@[::1].`:   "(address), (address)[::1].",
	} {
		if got := address.Redact(text); got != want {
			t.Errorf("Redact(%q): got %q, want %q", text, got, want)
		}
	}
}
