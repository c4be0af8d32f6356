package scheduler

import (
	"log/slog"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// When one of three workers dies, a third of the backlog counts as issued until
// it is found dead: the others must not be left without.
func TestBacklogOutlivesADeath(t *testing.T) {
	t.Parallel()
	p := &partSweep{}
	var settled int64
	now := time.Now()
	second := func(rate int64) {
		for range 10 {
			settled, now = settled+rate/10, now.Add(100*time.Millisecond)
			p.measure(campaign.Counts{campaign.Accepted: settled}, now)
		}
	}
	for range 5 {
		second(3000)
	}

	held := p.backlog() / 3
	for range 15 {
		second(2000)
	}

	if room := p.backlog() - held; room < 1300 {
		t.Errorf("room for %d of 2,000 a second, 15 s after a death", room)
	}

	for range 120 {
		second(100)
	}

	if got := p.backlog(); got > 400 {
		t.Errorf("backlog %d two minutes after the pace fell to 100 a second", got)
	}
}

// A death has every page looked at again. On a long list that must be over soon,
// also when nothing else goes on: the next death begins it again.
func TestEveryPageIsReachedSoonAfterADeath(t *testing.T) {
	stores(t, func(t *testing.T, l *ledger.Ledger) {
		const pages = 8
		run := makeRun(t, l, pages*ledger.PageCells)
		rec, err := l.Record(t.Context(), run.ID)
		if err != nil {
			t.Fatal(err)
		}

		f := NewFeeder(l, newRecorder(), FeederConfig{
			ShutUntil: func([]string, int) time.Time { return isOpen() }, Log: slog.New(slog.DiscardHandler),
		})
		s := newSweep(rec)
		for i := range s.parts[0].dirty {
			s.parts[0].dirty[i] = true
		}

		var waited time.Duration
		for rounds := 0; s.forced(); rounds++ {
			wait, err := f.round(t.Context(), s, rec)
			if err != nil || rounds > 2*pages {
				t.Fatalf("%v after %d rounds", err, rounds)
			}
			waited += wait
		}

		if waited > time.Second {
			t.Errorf("%s of waiting for %d pages", waited, pages)
		}
	})
}

// A run that is past its expiry is given up in turns: Redis serves no one else
// while a script goes through a page.
func TestExpiredRecipientsHaveTurns(t *testing.T) {
	p := newPartSweep(1)
	cells := make([]ledger.Cell, 2*maxExpired+10)
	cells[3].State, cells[4].State = campaign.Accepted, campaign.Issued
	var got []int
	for _, want := range []int{maxExpired, maxExpired, 9} {
		ready := p.read(0, cells, time.Hour, 0, false, true)
		if len(ready) != want || p.due[0] > time.Hour && len(ready) == maxExpired {
			t.Fatalf("%d are ready, due again at %v; want %d", len(ready), p.due[0], want)
		}
		for _, i := range ready {
			cells[i].State = campaign.Failed
		}
		got = append(got, ready...)
	}

	if len(got) != len(cells)-1 {
		t.Errorf("%d were given up, want all but the one that is accepted", len(got))
	}
}
