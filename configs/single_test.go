package configs_test

import (
	"testing"

	"broadside/configs"
)

func TestSingleAccount(t *testing.T) {
	t.Parallel()
	marketing, transactional := configs.Account{Stream: configs.Marketing}, configs.Account{Stream: configs.Transactional}
	for name, tt := range map[string]struct {
		accounts map[string]configs.Account
		want     string
	}{
		"none":                           {nil, ""},
		"the only one":                   {map[string]configs.Account{"a": marketing}, "a"},
		"the only one for transactional": {map[string]configs.Account{"a": marketing, "b": transactional, "c": marketing}, "b"},
		"two for transactional":          {map[string]configs.Account{"a": transactional, "b": transactional}, ""},
		"two for marketing":              {map[string]configs.Account{"a": marketing, "b": marketing}, ""},
	} {
		if got := (&configs.Config{Accounts: tt.accounts}).SingleAccount(); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
