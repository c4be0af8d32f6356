package account

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/configs"
)

func TestConfiguredState(t *testing.T) {
	t.Parallel()
	acct := configs.Account{
		Name: "main", Preset: "ses", Stream: configs.Marketing, Host: "smtp.acme.example", Port: 587, TLS: configs.TLSStartTLS,
		Limits: configs.Limits{Rate: 14, PerHour: 20_000, PerDay: 50_000, Connections: 10, ConnectionRate: 5, MessagesPerConnection: 500},
		Warmup: configs.Warmup{Start: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Days: []int{200, 400}},
	}
	want := State{
		Name: "main", Preset: "ses", Stream: "marketing", Host: "smtp.acme.example", Port: 587, TLS: "starttls",
		Limits: Limits{RatePerS: 14, PerHour: 20_000, PerDay: 50_000, Connections: 10, ConnectionRatePerS: 5, MessagesPerConnection: 500},
	}
	for _, tt := range []struct {
		day  int // of December
		want *Warmup
	}{
		{0, &Warmup{}},
		{1, &Warmup{Day: 1, Allowance: 200}},
		{2, &Warmup{Day: 2, Allowance: 400}},
		{3, nil},
	} {
		want.Warmup = tt.want
		got := configured(acct, time.Date(2026, 12, tt.day, 12, 0, 0, 0, time.UTC), time.UTC)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("December %d (-want +got):\n%s", tt.day, diff)
		}
	}
}
