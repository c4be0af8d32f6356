package configs_test

import (
	"testing"

	"broadside/configs"
)

func TestMatchAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, address string
		want             bool
	}{
		{"*@acme.example", "Jo@ACME.example", true},
		{"*@acme.example", "jo@acme.example.evil", false},
		{"*@acme.example", "jo@notacme.example", false},
		{"*@*.acme.example", "jo@x.acme.example", true},
		{"*@*.acme.example", "jo@acme.example", false},
		{"jo@acme.example", "jo@acme.example", true},
		{"jo@acme.example", "joe@acme.example", false},
		{"jo+*@acme.example", "jo+test@acme.example", true},
		{"a*a@acme.example", "a@acme.example", false},
		{"a*b*c@acme.example", "aXbYc@acme.example", true},
		{"a*b*c@acme.example", "acb@acme.example", false},
		{"*@acme.example", "no address", false},
	} {
		if got := configs.MatchAddress([]string{"other@x.example", tt.pattern}, tt.address); got != tt.want {
			t.Errorf("MatchAddress(%q, %q) = %v, want %v", tt.pattern, tt.address, got, tt.want)
		}
	}
	if configs.MatchAddress(nil, "a@b.example") {
		t.Error("an address matches without patterns")
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"127.0.0.1.example": false, "localhost.example": false, "10.0.0.1": false, "0.0.0.0": false, "": false, "::2": false,
	} {
		if got := (configs.Account{Host: host}).Loopback(); got != want {
			t.Errorf("Loopback of %q = %v, want %v", host, got, want)
		}
	}
}
