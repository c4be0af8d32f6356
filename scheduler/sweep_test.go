package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

func cells(states ...campaign.State) []ledger.Cell {
	out := make([]ledger.Cell, len(states))
	for i, s := range states {
		out[i].State = s
	}
	return out
}

func TestReadFindsWhoIsReadyAndWhenToLookAgain(t *testing.T) {
	t.Parallel()
	const now = 100 * time.Second
	at := func(s campaign.State, when time.Duration) ledger.Cell { return ledger.Cell{State: s, When: when} }
	for _, tt := range []struct {
		name    string
		cells   []ledger.Cell
		room    int
		forced  bool
		expired bool
		want    []int
		due     time.Duration
	}{
		{"all final", cells(campaign.Accepted, campaign.Failed), 9, false, false, nil, now + lookAgain},
		{"pending within the room", cells(campaign.Pending, campaign.Pending, campaign.Pending), 2, false, false, []int{0, 1}, 0},
		{"no room", cells(campaign.Pending), 0, false, false, nil, 0},
		{"deferred, not yet", []ledger.Cell{at(campaign.Deferred, 150*time.Second)}, 9, false, false, nil, 150 * time.Second},
		{"deferred, due", []ledger.Cell{at(campaign.Deferred, 99*time.Second)}, 9, false, false, []int{0}, now + minHold},
		{"issued, silent too long, without room", []ledger.Cell{at(campaign.Issued, 99*time.Second)}, 0, false, false, []int{0}, now + minHold},
		{"issued, may still be heard of", []ledger.Cell{at(campaign.Issued, 120*time.Second)}, 9, false, false, nil, 120 * time.Second},
		{"issued, after a death", []ledger.Cell{at(campaign.Issued, 120*time.Second)}, 0, true, false, []int{0}, now + minHold},
		{"expired needs no room", []ledger.Cell{at(campaign.Deferred, 150*time.Second)}, 0, false, true, []int{0}, now + minHold},
		{"being sent", cells(campaign.Sending), 9, false, false, nil, now + lookAgain},
		{"deferred for hours", []ledger.Cell{at(campaign.Deferred, 5*time.Hour)}, 9, false, false, nil, now + lookAgain},
	} {
		p := newPartSweep(1)
		got := p.read(0, tt.cells, now, tt.room, tt.forced, tt.expired)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: ready (-want +got):\n%s", tt.name, diff)
		}
		if p.due[0] != tt.due {
			t.Errorf("%s: due %s, want %s", tt.name, p.due[0], tt.due)
		}
	}
}

func TestNeitherRetriesNorTheRestOfTheListStarve(t *testing.T) {
	t.Parallel()
	// Page 0 and 2 are due now and stay due, page 1 is later.
	p := &partSweep{due: []time.Duration{0, time.Hour, 0}, dirty: make([]bool, 3)}
	seen := map[int]int{}
	for range 20 {
		seen[p.next(time.Minute, false)]++
	}

	if seen[1] != 0 || seen[0] < 5 || seen[2] < 3 {
		t.Errorf("pages looked at: %v", seen)
	}

	p.due = []time.Duration{never, never, never}
	if got := p.next(time.Hour, false); got != -1 {
		t.Errorf("page %d of a part that is done", got)
	}
}

func TestADeathMakesEveryOpenPageDirtyOnce(t *testing.T) {
	t.Parallel()
	s := newSweep(&ledger.Record{Attempt: "a", Sizes: []ledger.PartSize{{Part: 3, Size: ledger.PageCells + 1}}})
	p := s.parts[0]
	if len(p.due) != 2 {
		t.Fatalf("%d pages", len(p.due))
	}

	s.force(7) // what was before this feeder is no news
	if s.forced() {
		t.Fatal("forced without a death")
	}

	s.force(8)
	if !s.forced() || p.next(0, true) != 0 {
		t.Errorf("dirty %v", p.dirty)
	}

	p.done(0)
	p.done(1)
	s.force(8)
	if s.forced() {
		t.Error("forced twice for one death")
	}
}

func TestNotesMakePagesDueEarlier(t *testing.T) {
	t.Parallel()
	s := newSweep(&ledger.Record{Attempt: "a", Sizes: []ledger.PartSize{{Part: 3, Size: 5}}})
	s.parts[0].due[0] = never
	s.note([]ledger.Early{{Part: 2, Page: 0, When: 1}, {Part: 3, Page: 9, When: 1}, {Part: 3, Page: 0, When: time.Minute}})
	if got := s.parts[0].due[0]; got != time.Minute {
		t.Errorf("due %s", got)
	}
}

func TestBacklogIsOneSecondOfWhatThePartSettles(t *testing.T) {
	t.Parallel()
	p := &partSweep{}
	if p.backlog() != minBacklog {
		t.Errorf("backlog %d before anything is known", p.backlog())
	}

	now := time.Unix(1000, 0)
	for i := range 100 {
		p.measure(campaign.Counts{campaign.Accepted: int64(i * 100), campaign.Pending: 1e6}, now)
		now = now.Add(100 * time.Millisecond)
	}

	if got := p.backlog(); got < 950 || got > 1050 {
		t.Errorf("backlog %d at 1,000 a second", got)
	}
	if got := p.hold(p.backlog()); got != minHold {
		t.Errorf("hold %s", got)
	}

	p.perSecond = 1e6
	if p.backlog() != ledger.MaxBacklog {
		t.Errorf("backlog %d, want at most %d", p.backlog(), ledger.MaxBacklog)
	}

	p.perSecond = 2
	if got := p.hold(p.backlog()); got != 300*time.Second {
		t.Errorf("hold %s for 200 at 2 a second", got)
	}
}
