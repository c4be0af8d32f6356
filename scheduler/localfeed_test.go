package scheduler

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
)

// anyRoom is a Redis with memory for everything.
type anyRoom struct{}

func (anyRoom) Check(context.Context, int64) error { return nil }
func (anyRoom) Explain(err error) error            { return err }

// A timed is a run whose recipients get the message by their own clocks, in a Redis whose
// clock the test sets.
type timed struct {
	t      *testing.T
	store  *miniredis.Miniredis
	rdb    *redis.Client
	ledger *ledger.Ledger
	line   *ledger.Line
	feeder *Feeder
	queue  *recorder
	sent   map[campaign.Task]bool
}

func newTimed(t *testing.T, now time.Time) *timed {
	t.Helper()
	m := miniredis.RunT(t)
	m.SetTime(now)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { rdb.Close() })
	d := &timed{t: t, store: m, rdb: rdb, queue: newRecorder(), sent: map[campaign.Task]bool{}}
	d.ledger = ledger.New(rdb, "bs", embeddedLua)
	d.line = d.ledger.Line(rdb, suppression.New(rdb, "bs", embeddedLua))
	d.feeder = newTestFeeder(d.ledger, d.queue, isOpen)
	return d
}

// make makes the run of a morning for recipients in these zones.
func (d *timed) make(names ...string) *ledger.Record {
	d.t.Helper()
	m := &Maker{Ledger: d.ledger, Suppression: suppression.New(d.rdb, "bs", embeddedLua), Room: anyRoom{}, KeepRuns: time.Hour, Log: slog.New(slog.DiscardHandler)}
	spec := campaign.RunSpec{
		Snapshot: campaign.Snapshot{Campaign: "news", Topic: "news", Accounts: []string{"a"}, Columns: []string{"email", "tz"}},
		Delivery: campaign.Delivery{Retry: campaign.DefaultRetry, MaxAttempts: 3, ExpiresAfter: 48 * time.Hour},
		Local:    morning(), Occurrence: utc(0, 19, 0),
	}
	run, err := m.Make(d.t.Context(), spec, Input{Rows: livingIn(d.t, names...), Select: Selection{Topic: "news"}})
	if err != nil {
		d.t.Fatal(err)
	}
	return d.record(run.ID)
}

func (d *timed) record(id string) *ledger.Record {
	d.t.Helper()
	rec, err := d.ledger.Record(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return rec
}

// feed sets the clock, lets a feeder that remembers nothing hand out all that is due, and
// returns the recipients that it has handed out for the first time.
func (d *timed) feed(run string, now time.Time) []campaign.Task {
	d.t.Helper()
	d.store.SetTime(now)
	rec := d.record(run)
	s := newSweep(rec)
	for range 3 { // the answer of one round brings the notes for the next
		if _, err := d.feeder.round(d.t.Context(), s, rec); err != nil {
			d.t.Fatal(err)
		}
	}

	var news []campaign.Task
	for task := range d.queue.tasks {
		if d.sent[task] {
			continue
		}
		d.sent[task] = true
		news = append(news, task)
		// They make room in the backlog.
		if ok, err := d.line.Refuse(d.t.Context(), ledger.Ref{Run: rec.Handle(), Part: task.Part, Index: task.Index}, ledger.Outcome{State: campaign.Failed}); err != nil || !ok {
			d.t.Fatalf("end %+v: %v, %v", task, ok, err)
		}
	}
	return news
}

// zoneOf returns the zone of a recipient.
func (d *timed) zoneOf(rec *ledger.Record, task campaign.Task) string {
	d.t.Helper()
	first := task.Index - task.Index%audience.ChunkSize
	data, err := d.ledger.Chunk(d.t.Context(), rec.Handle(), task.Part, first)
	if err != nil {
		d.t.Fatal(err)
	}
	chunk, err := audience.DecodeChunk(data)
	if err != nil {
		d.t.Fatal(err)
	}
	return chunk.Row(task.Index - first).Values[1]
}

// Each recipient is handed out when it is nine o'clock where they live, and no moment
// before, whatever the zone; the last ones still have all the time that a run has.
func TestEachRecipientByTheirOwnClock(t *testing.T) {
	t.Parallel()
	at := map[string]time.Time{
		"Pacific/Kiritimati": utc(0, 19, 0), "Pacific/Chatham": utc(0, 19, 15), "Pacific/Auckland": utc(0, 20, 0), "Australia/Lord_Howe": utc(0, 22, 30),
		"Australia/Sydney": utc(0, 23, 0), "Australia/Adelaide": utc(0, 23, 30), "Asia/Tokyo": utc(1, 0, 0), "Australia/Eucla": utc(1, 0, 15),
		"Asia/Singapore": utc(1, 1, 0), "Asia/Yangon": utc(1, 2, 30), "Asia/Kathmandu": utc(1, 3, 15), "Asia/Kolkata": utc(1, 3, 30),
		"Asia/Kabul": utc(1, 4, 30), "Asia/Dubai": utc(1, 5, 0), "Asia/Tehran": utc(1, 5, 30), "Africa/Nairobi": utc(1, 6, 0),
		"Europe/Berlin": utc(1, 7, 0), "Europe/London": utc(1, 8, 0), "Atlantic/Cape_Verde": utc(1, 10, 0), "America/St_Johns": utc(1, 11, 30),
		"America/Sao_Paulo": utc(1, 12, 0), "America/New_York": utc(1, 13, 0), "America/Los_Angeles": utc(1, 16, 0),
		"Pacific/Marquesas": utc(1, 18, 30), "Pacific/Honolulu": utc(1, 19, 0),
	}
	zones := slices.Sorted(maps.Keys(at))
	var names []string
	for range 40 { // so that the zones are mixed in each page
		names = append(names, zones...)
	}
	// The clock of Redis has fractions of a second, and cells have none.
	d := newTimed(t, utc(0, 19, 0).Add(300*time.Millisecond))
	rec := d.make(names...)

	moments := slices.SortedFunc(maps.Values(at), time.Time.Compare)
	got := map[string]int{}
	for _, moment := range moments {
		if early := d.feed(rec.ID, moment.Add(-50*time.Millisecond)); len(early) > 0 {
			t.Errorf("right before %s: %d, in %s", moment, len(early), d.zoneOf(rec, early[0]))
		}
		for _, task := range d.feed(rec.ID, moment.Add(time.Second)) {
			zone := d.zoneOf(rec, task)
			got[zone]++
			if !at[zone].Equal(moment) {
				t.Fatalf("%s at %s, want %s", zone, moment, at[zone])
			}
		}
	}
	for _, zone := range zones {
		if got[zone] != 40 {
			t.Errorf("%s: %d recipients, want 40", zone, got[zone])
		}
	}

	if waves := rec.Waves(); len(waves) != len(at) || waves[0].Recipients != 40 || !waves[len(waves)-1].At.Equal(utc(1, 19, 0)) {
		t.Errorf("the record has these waves: %+v", waves)
	}
	if got, want := rec.Created.Add(rec.Expires), utc(1, 19, 0).Add(48*time.Hour); got.Sub(want).Abs() > time.Second {
		t.Errorf("the run expires at %s, want %s", got, want)
	}
}

// While a run is paused, nothing is handed out; whose time came in the meantime gets the
// message when it goes on, and all others still at their own time.
func TestAPauseOfARunWithWaves(t *testing.T) {
	t.Parallel()
	d := newTimed(t, utc(0, 19, 0))
	rec := d.make("Asia/Tokyo", "Europe/Berlin", "America/New_York")
	d.store.SetTime(utc(0, 23, 0))
	if _, err := d.ledger.Turn(t.Context(), rec.ID, campaign.Paused, "by a test", campaign.Running); err != nil {
		t.Fatal(err)
	}
	if got := d.feed(rec.ID, utc(1, 0, 30)); len(got) > 0 {
		t.Errorf("paused: %d are handed out", len(got))
	}
	if _, err := d.ledger.Turn(t.Context(), rec.ID, campaign.Running, "", campaign.Paused); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		at   time.Time
		want string
	}{{utc(1, 0, 31), "Asia/Tokyo"}, {utc(1, 6, 59), ""}, {utc(1, 7, 1), "Europe/Berlin"}, {utc(1, 13, 1), "America/New_York"}} {
		got := ""
		for _, task := range d.feed(rec.ID, step.at) {
			got += d.zoneOf(rec, task)
		}
		if got != step.want {
			t.Errorf("at %s: %q, want %q", step.at, got, step.want)
		}
	}
}

// A time of all clocks is stored until it has come by the last of them, and made up for
// as long: only then it is late.
func TestATimeOfAllClocks(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		now, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		timing := func(first time.Time) Timing {
			return Timing{At: first.Truncate(time.Second), Zone: "Etc/GMT-14", Recipient: true, MaxLateness: time.Minute}
		}

		begun := put(t, s, "begun", timing(now.Add(-25*time.Hour)))
		o, err := s.next(t.Context(), "holder")
		if err != nil || o == nil || o.ID != "begun" || !o.Occurrence.Equal(begun.Timing.At) {
			t.Fatalf("claimed %+v, %v, want the occurrence at %s", o, err, begun.Timing.At)
		}
		if o.Late() {
			t.Error("it is late, although it has not come everywhere")
		}
		if err := s.renewClaim(t.Context(), *o); err != nil {
			t.Errorf("its claim: %v", err)
		}
		o.now = begun.Timing.At.Add(26*time.Hour + 61*time.Second)
		if !o.Late() {
			t.Error("it is not late, more than a minute after it has come everywhere")
		}

		past := Schedule{ID: "past", Timing: timing(now.Add(-27 * time.Hour)), Version: NewVersion()}
		if _, err := s.Put(t.Context(), past); err == nil {
			t.Error("a time that has passed by every clock was stored")
		}

		// A cron begins with a time that has come nowhere yet.
		cron := put(t, s, "cron", Timing{Cron: "0 9 * * *", Zone: "Etc/GMT-14", Recipient: true})
		e, err := s.Get(t.Context(), "cron")
		if err != nil || e.Next.Before(now) || e.Next.UTC().Hour() != 19 {
			t.Errorf("cron: next %s, %v; want the next 19:00 UTC", e.Next, err)
		}
		if got := cron.Timing.LastMoment(e.Next).UTC(); got.Hour() != 21 || !got.After(e.Next.Add(25*time.Hour)) {
			t.Errorf("its last moment is %s", got)
		}
	})
}

// A row of missed times ends with those that have not come everywhere.
func TestMissedTimesOfAllClocks(t *testing.T) {
	t.Parallel()
	timing := Timing{Cron: "0 9 * * *", Zone: "Etc/GMT-14", Recipient: true, MaxLateness: time.Hour}
	// It is 1 October, 08:00 UTC: the time of the 30th has come everywhere eleven hours ago.
	entry, next, err := missed(timing, utc(-2, 19, 0), utc(1, 8, 0), "")
	if err != nil || entry.Count != 2 || !next.Equal(utc(0, 19, 0)) {
		t.Errorf("missed %d until %s, next %s, %v; want 2, and the one that began at %s", entry.Count, entry.Until, next, err, utc(0, 19, 0))
	}
}
