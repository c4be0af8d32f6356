package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/report"
	"broadside/internal/runs"
)

// statusOf is a running run of a thousand, with so many accepted and deferred.
func statusOf(accepted, deferred int64) runs.Status {
	return runs.Status{
		Record: &ledger.Record{ID: "october-1", State: campaign.Running, Sizes: []ledger.PartSize{{Size: 1000}}},
		Tally: &ledger.Tally{Counts: campaign.Counts{
			campaign.Accepted: accepted, campaign.Deferred: deferred, campaign.Pending: 1000 - accepted - deferred,
		}},
	}
}

// shown returns what progress shows of a run that is looked at each second.
func shown(c *cli, statuses ...runs.Status) string {
	var out bytes.Buffer
	c.term.w = &out
	c.term.width = func() int { return 80 }
	c.stderr = c.term
	p := c.progress()
	for _, s := range statuses {
		p.see(s)
		time.Sleep(time.Second)
	}

	p.end()
	return out.String()
}

// steady is a run of which 10 more are accepted at each look.
func steady(looks int) (all []runs.Status) {
	for i := range looks {
		all = append(all, statusOf(int64(10*i), 0))
	}
	return all
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := shown(&cli{term: &terminal{}}, steady(9)...)
		want := "running 10 of 1000\nrunning 40 of 1000, 10/s, about 1m35s left\nrunning 70 of 1000, 10/s, about 1m35s left\n"
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// What comes back while a run goes on is told with it; that messages were delivered is not.
func TestProgressTellsWhatCameBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := statusOf(500, 0)
		s.After = map[campaign.EventKind]int64{campaign.EventDelivered: 400, campaign.EventComplained: 2, campaign.EventBounced: 3}
		got := shown(&cli{term: &terminal{}}, s, s)
		if want := "running 500 of 1000, 3 bounced later, 2 complained later\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Opens and clicks are told where they are counted.
func TestProgressTellsWhatReadersDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := statusOf(500, 0)
		s.Tracking = &report.Tracking{Opens: &report.Opens{Total: 20, People: 12}, Clicks: &report.Clicks{Total: 4, People: 3}}
		if got, want := shown(&cli{term: &terminal{}}, s, s), "running 500 of 1000, 12 opened, 3 clicked\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		s.Tracking = &report.Tracking{Clicks: &report.Clicks{}}
		if got, want := shown(&cli{term: &terminal{}}, s, s), "running 500 of 1000\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestProgressBar(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		half := statusOf(500, 20)
		got := shown(&cli{term: &terminal{tty: true}}, statusOf(480, 20), statusOf(490, 20), statusOf(495, 20), half)
		last := got[strings.LastIndex(got, "[##"):]
		want := "[#########----------] \x1b[36mrunning\x1b[0m 500 of 1000, 20 deferred, 6.7/s, about 1m10s left\r\x1b[K"
		if last != want {
			t.Errorf("got %q, want %q", last, want)
		}

		if strings.Contains(got, "\n") {
			t.Errorf("a line ends in %q", got)
		}
	})
}

// TestPlainProgress: NO_COLOR and --quiet hold on a terminal too.
func TestPlainProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if got := shown(&cli{term: &terminal{tty: true}, env: []string{"NO_COLOR=1"}}, steady(3)...); strings.Contains(got, "\x1b[3") {
			t.Errorf("colours with NO_COLOR: %q", got)
		}
		if got := shown(&cli{term: &terminal{tty: true}, quiet: true}, steady(3)...); got != "" {
			t.Errorf("with --quiet: %q", got)
		}
	})
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	steadyPace := func() *pace {
		p := new(pace)
		for i := range 61 {
			p.see(start.Add(time.Duration(i)*time.Second), int64(10*i))
		}
		return p
	}
	paused := statusOf(600, 0)
	waiting := statusOf(600, 0)
	expanding := statusOf(600, 0)
	paused.State = campaign.Paused
	expanding.State = campaign.Expanding
	waiting.Waiting = []report.Wait{{For: report.ForAccount}}
	for name, c := range map[string]struct {
		status runs.Status
		want   time.Duration
	}{
		"running":           {statusOf(600, 0), 40 * time.Second},
		"with deferred":     {statusOf(600, 100), 30 * time.Second},
		"only deferred":     {statusOf(600, 400), 0},
		"paused":            {paused, 0},
		"waits":             {waiting, 0},
		"audience not read": {expanding, 0},
	} {
		if got := steadyPace().timeLeft(c.status); got != c.want {
			t.Errorf("%s: %s are left, want %s", name, got, c.want)
		}
	}

	if got := len(steadyPace().looks); got != 21 {
		t.Errorf("%d looks are kept, want those of %s", got, paceOver)
	}

	p := steadyPace()
	p.see(start.Add(2*time.Minute), 600) // nothing for a minute
	if got := p.left(100); got != 0 {
		t.Errorf("after a standstill: %s are left, want none", got)
	}
}

func TestRoughly(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]time.Duration{
		time.Millisecond:                time.Second,
		8400 * time.Millisecond:         8 * time.Second,
		93 * time.Second:                95 * time.Second,
		13*time.Minute + 31*time.Second: 14 * time.Minute,
		3*time.Hour + 18*time.Minute:    3*time.Hour + 20*time.Minute,
	} {
		if got := roughly(d); got != want {
			t.Errorf("roughly(%s) is %s, want %s", d, got, want)
		}
	}
}
