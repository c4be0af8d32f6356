package app

import (
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

func TestFindRun(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	ctx := t.Context()
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	made := func(name string, at time.Time) string {
		id := campaign.RunID(name, at)
		if _, err := s.Ledger.Create(ctx, ledger.NewRun{ID: id, Campaign: name, Created: at}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	older, newer := made("october", at), made("october", at.Add(time.Hour))
	extra := made("october-extra", at.Add(2*time.Hour))
	for _, tt := range []struct {
		name, text, want string
		latest           bool
	}{
		{"an id", older, older, false},
		{"a campaign with several runs", "october", newer, true},
		{"a campaign with one run", "october-extra", extra, true},
		{"the beginning of one run", "october-e", extra, false},
		{"the beginning of several runs", "october-2026", "", false},
		{"the beginning of a campaign's id", "octob", "", false},
		{"nothing", "", "", false},
		{"another campaign", "november", "", false},
	} {
		id, latest, err := s.FindRun(ctx, tt.text)
		if id != tt.want || latest != tt.latest || (err == nil) != (tt.want != "") || err != nil && !ledger.Gone(err) {
			t.Errorf("%s: %q: got %q, latest %v, %v, want %q, %v", tt.name, tt.text, id, latest, err, tt.want, tt.latest)
		}
	}
}
