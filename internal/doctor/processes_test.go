package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/store"
)

func TestProcessesAreMissedWhereSomethingIsDue(t *testing.T) {
	t.Parallel()
	runs, due := []string{"r1"}, []string{"news at 2026-10-01T07:00:00Z"}
	for _, tt := range []struct {
		name string
		d    Duty
		want []codes.Code // of the warnings
	}{
		{"nothing to do, nobody there", Duty{}, nil},
		{"runs and no worker", Duty{Running: runs, Schedulers: 1, Webs: 1}, []codes.Code{codes.NoWorker}},
		{"runs and a worker", Duty{Running: runs, Workers: 1}, nil},
		{"due and nobody there", Duty{Due: due}, []codes.Code{codes.NoWorker, codes.NoScheduler}},
		{"due and no scheduler", Duty{Due: due, Workers: 1}, []codes.Code{codes.NoScheduler}},
		{"due and all there", Duty{Due: due, Workers: 1, Schedulers: 1}, nil},
		{"readers elsewhere and no web", Duty{Readers: "https://news.acme.example"}, []codes.Code{codes.NoWeb}},
		{"readers elsewhere and a web", Duty{Readers: "https://news.acme.example", Webs: 1}, nil},
	} {
		var got []codes.Code
		for _, f := range Processes(tt.d) {
			if f.Level == store.Warning {
				got = append(got, f.Code)
				expect(t, []Finding{f}, f.Code, store.Warning)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	many := Processes(Duty{Running: []string{"a", "b", "c", "d", "e"}})
	if text := many[1].Text; !strings.HasSuffix(text, "a, b, c and 2 more") {
		t.Errorf("got %q, want three runs by name", text)
	}
}

func TestBrokenEntriesAreFindings(t *testing.T) {
	t.Parallel()
	expect(t, Broken([]error{&campaign.BrokenError{What: "run r", Key: "k", Err: errors.New("odd")}}), codes.BrokenState, store.Warning)
	if got := Broken(nil); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}
