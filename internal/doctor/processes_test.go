package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/presence"
	"broadside/internal/store"
)

func TestProcessesAreMissedWhereSomethingIsDue(t *testing.T) {
	t.Parallel()
	runs, due := []string{"r1"}, []string{"news at 2026-10-01T07:00:00Z"}
	alive := func(roles ...string) (all []presence.Process) {
		for _, role := range roles {
			all = append(all, presence.Process{Role: role})
		}
		return all
	}
	worker, scheduler, web := presence.Worker, presence.Scheduler, presence.Web
	for _, tt := range []struct {
		name string
		n    needed
		want []codes.Code // of the warnings
	}{
		{"nothing to do, nobody there", needed{}, nil},
		{"runs and no worker", needed{running: runs, alive: alive(scheduler, web)}, []codes.Code{codes.NoWorker}},
		{"runs and a worker", needed{running: runs, alive: alive(worker)}, nil},
		{"due and nobody there", needed{due: due}, []codes.Code{codes.NoWorker, codes.NoScheduler}},
		{"due and no scheduler", needed{due: due, alive: alive(worker)}, []codes.Code{codes.NoScheduler}},
		{"due and all there", needed{due: due, alive: alive(worker, scheduler)}, nil},
		{"readers elsewhere and no web", needed{readers: "https://news.acme.example"}, []codes.Code{codes.NoWeb}},
		{"readers elsewhere and a web", needed{readers: "https://news.acme.example", alive: alive(web)}, nil},
	} {
		var got []codes.Code
		for _, f := range processes(tt.n) {
			if f.Level == store.Warning {
				got = append(got, f.Code)
				expect(t, []Finding{f}, f.Code, store.Warning)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}

	many := processes(needed{running: []string{"a", "b", "c", "d", "e"}})
	if text := many[1].Text; !strings.HasSuffix(text, "a, b, c and 2 more") {
		t.Errorf("got %q, want three runs by name", text)
	}
}

func TestBrokenEntriesAreFindings(t *testing.T) {
	t.Parallel()
	expect(t, broken([]error{&campaign.BrokenError{What: "run r", Key: "k", Err: errors.New("odd")}}), codes.BrokenState, store.Warning)
	if got := broken(nil); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}
