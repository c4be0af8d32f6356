package outgoing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/configs"
	"broadside/internal/report"
)

// A house has runs, and an announcer that is asked for its rounds.
type house struct {
	*office
	ledger *ledger.Ledger
	line   *ledger.Line
	missed missed
	teller *Announcer
}

// missed are the occurrences of schedules that are to be told of.
type missed struct{ all []campaign.MissedOccurrence }

func (m *missed) Untold(context.Context) ([]campaign.MissedOccurrence, error) {
	return slices.Clone(m.all), nil
}

func (m *missed) NoteTold(_ context.Context, o campaign.MissedOccurrence) error {
	m.all = slices.DeleteFunc(m.all, func(other campaign.MissedOccurrence) bool { return other.Stored == o.Stored })
	return nil
}

func newHouse(t testing.TB, events ...campaign.WebhookEvent) *house {
	t.Helper()
	return houseOf(t, dial(t), configs.Webhook{URL: "https://crm.acme.example/", Secret: secret, Events: events})
}

func houseOf(t testing.TB, rdb *redis.Client, receiver configs.Webhook) *house {
	t.Helper()
	h := &house{office: newOffice(t, rdb, receiver), ledger: ledger.New(rdb, "bs", redis.NewScript)}
	h.line = h.ledger.Line(rdb, suppression.New(rdb, "bs", redis.NewScript))
	h.restart()
	return h
}

// restart makes a new announcer, as after a process was killed. The right of the old one
// to tell has ended.
func (h *house) restart() {
	h.rdb.Del(context.Background(), "bs:runs:teller")
	h.teller = NewAnnouncer(AnnouncerConfig{
		Ledger: h.ledger, Missed: &h.missed, Outbox: h.outbox, Log: slog.New(slog.NewTextHandler(h.log, nil)),
		Summary: func(ctx context.Context, id string) (report.Run, error) {
			rec, err := h.ledger.Record(ctx, id)
			if err != nil {
				return report.Run{}, err
			}
			tally, err := h.ledger.Counts(ctx, id)
			if err != nil {
				return report.Run{}, err
			}
			return report.Run{
				Run: id, Campaign: rec.Campaign, State: rec.State, Reason: rec.Reason, Total: rec.Total(), Counts: tally.Counts,
				CreatedAt: rec.Created, FinishedAt: rec.Finished,
			}, nil
		},
	})
}

const theRun = "news-20261001T070000Z"

// run makes a run whose part 1 has so many recipients.
func (h *house) run(t testing.TB, people int) *ledger.Run {
	t.Helper()
	ctx := t.Context()
	made, err := h.ledger.Create(ctx, ledger.NewRun{
		ID: theRun, Campaign: "news", Topic: "news", Accounts: []string{"main"}, Created: time.Now(),
		Retry: []time.Duration{time.Hour}, MaxAttempts: 3, ExpiresAfter: 48 * time.Hour,
	})
	if err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}

	e := h.ledger.Expand(theRun)
	if err := e.Content(ctx, campaign.Snapshot{Campaign: "news"}); err != nil {
		t.Fatal(err)
	}
	for first := 0; first < people; first += audience.ChunkSize {
		var rows []audience.Row
		for i := first; i < min(people, first+audience.ChunkSize); i++ {
			a, err := address.Parse(fmt.Sprintf("person%d@gmail.com", i))
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, audience.Row{Address: a, Line: i + 1})
		}
		chunk := ledger.Chunk{Part: 1, Data: audience.EncodeChunk(nil, rows), Suppressed: make([]bool, len(rows))}
		if err := e.Add(ctx, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Ready(ctx, campaign.Skipped{}); err != nil {
		t.Fatal(err)
	}
	rec, err := h.ledger.Record(ctx, theRun)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Handle()
}

// ends records how the sending to some recipients ended.
func (h *house) ends(t testing.TB, r *ledger.Run, state campaign.State, indexes ...int) {
	t.Helper()
	for _, i := range indexes {
		ok, err := h.line.Refuse(t.Context(), ledger.Ref{Run: r, Part: 1, Index: i}, ledger.Outcome{
			State: state, Reply: ledger.Reply{Code: 550, Enhanced: "5.1.1", Account: "main", Text: fmt.Sprintf("no user %d", i)},
		})
		if err != nil || !ok {
			t.Fatalf("recipient %d: %v, %v", i, ok, err)
		}
	}
}

// round makes a round, as if the time between two scans was over.
func (h *house) round(t testing.TB) {
	t.Helper()
	for name, s := range h.teller.scanned {
		s.at = time.Time{}
		h.teller.scanned[name] = s
	}
	if err := h.teller.round(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// retire does what a feeder does at the end of a run.
func (h *house) retire(t testing.TB) {
	t.Helper()
	rec, err := h.ledger.Record(t.Context(), theRun)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.ledger.AddUntold(t.Context(), theRun), h.ledger.Retire(t.Context(), rec, time.Hour, time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// A told is an event in the queue.
type told struct {
	Type string
	Data struct {
		Recipient, Run, Campaign, Topic, Provider, Account, State, Reason, Reply, Source string
		Permanent                                                                        bool
		Code                                                                             int
		Counts                                                                           map[string]int64
	}
}

// waiting returns what waits in the queue of the only receiver, by id.
func (h *house) waiting(t testing.TB) map[string]told {
	t.Helper()
	base := "asynq:{bs-webhook-" + h.Receivers[0].ID() + "}:"
	out := map[string]told{}
	for _, id := range h.rdb.LRange(t.Context(), base+"pending", 0, -1).Val() {
		message := h.rdb.HGet(t.Context(), base+"t:"+id, "msg").Val()
		begin, end := strings.Index(message, `{"type"`), strings.LastIndex(message, "}}")
		var e told
		if begin < 0 || end < 0 {
			t.Fatalf("no event in %q", message)
		}
		if err := json.Unmarshal([]byte(message[begin:end+2]), &e); err != nil {
			t.Fatalf("%s: %v", message[begin:end+2], err)
		}
		if _, twice := out[id]; twice {
			t.Errorf("%s waits twice", id)
		}
		out[id] = e
	}
	return out
}

// deliver takes what waits out of the queue, and returns it by id.
func (h *house) deliver(t testing.TB) map[string]told {
	t.Helper()
	base := "asynq:{bs-webhook-" + h.Receivers[0].ID() + "}:"
	out := h.waiting(t)
	for id := range out {
		h.rdb.Del(t.Context(), base+"t:"+id)
	}
	h.rdb.Del(t.Context(), base+"pending")
	return out
}

// types returns the types of events, in alphabetical order.
func types(events map[string]told) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.Type)
	}
	slices.Sort(out)
	return out
}

func TestTurnsAndTheEndOfARunAreToldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookRunPaused, campaign.WebhookRunHeld, campaign.WebhookRunFinished)
	r := h.run(t, 3)
	h.round(t)
	if got := h.waiting(t); len(got) != 0 {
		t.Errorf("told of a run that goes on: %v", got)
	}

	// Before anybody has looked it is stopped twice, and goes on each time.
	ctx := t.Context()
	turn := func(to campaign.RunState, reason string, from ...campaign.RunState) {
		t.Helper()
		if _, err := h.ledger.Turn(ctx, theRun, to, reason, from...); err != nil {
			t.Fatal(err)
		}
	}
	turn(campaign.Paused, codes.Operator.Reason("by the operator"), campaign.Running)
	turn(campaign.Paused, "no turn at all", campaign.Running)
	turn(campaign.Running, "", campaign.Paused)
	turn(campaign.Held, codes.HeldLedger.Reason("doubt"), campaign.Running)
	turn(campaign.Running, "", campaign.Held)

	// Each time all that waits is delivered, so that the queue knows nothing of it.
	expect := func(when string, want ...string) {
		t.Helper()
		h.round(t)
		got := h.deliver(t)
		if diff := cmp.Diff(want, types(got), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		for _, e := range got {
			d := e.Data
			if d.Run != theRun || d.Campaign != "news" || d.State != strings.TrimPrefix(e.Type, "run.") || d.State != "finished" && !strings.HasPrefix(d.Reason, "BS-") {
				t.Errorf("%s: got %+v", when, e)
			}
			if d.State == "finished" && d.Counts["failed"] != 3 {
				t.Errorf("%s: got %+v", when, e)
			}
		}
	}
	expect("stopped twice", "run.held", "run.paused")
	expect("nothing new")

	if _, err := h.ledger.PauseFor(ctx, theRun, codes.GuardBounce, "10 % of 100 bounced"); err != nil {
		t.Fatal(err)
	}
	h.restart()
	expect("by a guard", "run.paused")
	turn(campaign.Running, "", campaign.Paused)
	h.ends(t, r, campaign.Failed, 0, 1, 2)
	expect("over, and nobody feeds it any more", "run.finished")
	expect("nothing new")
	h.retire(t)
	h.restart()
	expect("retired")
	if left, err := h.ledger.Untold(ctx); len(left) > 0 || err != nil {
		t.Errorf("%v is still to be told about (%v)", left, err)
	}
}

func TestTheEndOfACancelledRunIsToldWhenNothingIsOnTheWire(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookRunCancelled)
	r := h.run(t, 3)
	h.ends(t, r, campaign.Failed, 0)
	if _, err := h.ledger.Turn(t.Context(), theRun, campaign.RunCancelled, "by the operator", campaign.Running); err != nil {
		t.Fatal(err)
	}
	h.round(t)
	if got := h.waiting(t); len(got) != 0 {
		t.Errorf("told while two recipients are open: %v", got)
	}
	if err := h.ledger.Sweep(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	h.round(t)
	got := h.waiting(t)
	for _, e := range got {
		if e.Type != "run.cancelled" || e.Data.Counts["cancelled"] != 2 || e.Data.Counts["failed"] != 1 || e.Data.Reason != "by the operator" {
			t.Errorf("got %+v", e)
		}
	}
	if len(got) != 1 {
		t.Errorf("got %d events, want 1", len(got))
	}
}

// What a schedule has missed is told once, also when the process died before it noted that.
func TestMissedOccurrencesAreToldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookRunMissed)
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	row := campaign.MissedOccurrence{
		Campaign: "news", Topic: "newsletter", At: at, Until: at.Add(24 * time.Hour), Times: 2, Reason: codes.Missed.Reason("26h0m0s late"),
		Recorded: at.Add(26 * time.Hour), Stored: "1",
	}
	later := row
	later.At, later.Until, later.Times, later.Stored = at.Add(72*time.Hour), time.Time{}, 1, "2"
	h.missed.all = []campaign.MissedOccurrence{row, {Stored: "of another version"}, later}
	h.round(t)
	if len(h.missed.all) > 0 {
		t.Errorf("still to be told of: %+v", h.missed.all)
	}
	h.missed.all = []campaign.MissedOccurrence{row} // as if it died before that
	h.restart()
	h.round(t)

	got := h.waiting(t)
	if len(got) != 2 {
		t.Fatalf("got %d events, want 2: %+v", len(got), got)
	}
	for _, e := range got {
		if e.Type != "run.missed" || e.Data.Campaign != "news" || e.Data.Topic != "newsletter" || e.Data.Run != "" || !strings.HasPrefix(e.Data.Reason, "BS-MISSED: ") {
			t.Errorf("got %+v", e)
		}
	}
}

func TestMissedOccurrenceAsItIsTold(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	e, err := ofMissed("bs", campaign.MissedOccurrence{Campaign: "news", Topic: "newsletter", At: at, Times: 1, Reason: "BS-MISSED: late", Recorded: at.Add(time.Hour)})
	const want = `{"type":"run.missed","timestamp":"2026-10-01T08:00:00.000Z","data":{"campaign":"news","topic":"newsletter","at":"2026-10-01T07:00:00.000Z","until":null,"times":1,"reason":"BS-MISSED: late"}}`
	if err != nil || string(e.body) != want {
		t.Errorf("got %s, %v; want %s", e.body, err, want)
	}
}

func TestBouncesWhileSendingAreTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookBounced)
	people := audience.ChunkSize + ledger.PageCells
	r := h.run(t, people)
	h.ends(t, r, campaign.Failed, 1)
	h.ends(t, r, campaign.Bounced, 0, 7, people-1)
	h.round(t)

	got := h.waiting(t)
	var who []string
	for _, e := range got {
		who = append(who, e.Data.Recipient)
	}
	slices.Sort(who)
	want := []string{"person0@gmail.com", fmt.Sprintf("person%d@gmail.com", people-1), "person7@gmail.com"}
	slices.Sort(want)
	if diff := cmp.Diff(want, who); diff != "" {
		t.Fatalf("recipients (-want +got):\n%s", diff)
	}
	for _, e := range got {
		d := e.Data
		if e.Type != "bounced" || d.Run != theRun || d.Topic != "news" || d.Provider != "gmail" || d.Account != "main" || d.Code != 550 ||
			!strings.HasPrefix(d.Reply, "no user ") || !d.Permanent || d.Source != "smtp" {
			t.Errorf("got %+v", e)
		}
	}

	h.restart()
	h.round(t)
	if n := len(h.waiting(t)); n != 3 {
		t.Errorf("%d events after nothing more has bounced, want 3", n)
	}
	h.ends(t, r, campaign.Bounced, 8)
	h.round(t)
	if n := len(h.waiting(t)); n != 4 {
		t.Errorf("%d events, want 4", n)
	}
}

// TestEventsThatWereNotNotedComeAgainWithTheirID puts events into the queue, and forgets that it did.
func TestEventsThatWereNotNotedComeAgainWithTheirID(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookBounced, campaign.WebhookRunPaused, campaign.WebhookRunFinished)
	r := h.run(t, 10)
	h.ends(t, r, campaign.Bounced, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	if _, err := h.ledger.Turn(t.Context(), theRun, campaign.Paused, "by the operator", campaign.Running); err != nil {
		t.Fatal(err)
	}
	before := h.rdb.HGetAll(t.Context(), "bs:{run:"+theRun+"}:record").Val()
	h.round(t)
	first := h.waiting(t)

	// The process died before it had noted anything, and the queue was emptied in the meantime.
	forget := func() {
		h.rdb.Del(t.Context(), "bs:{run:"+theRun+"}:record", "bs:{run:"+theRun+"}:"+r.Attempt+":told")
		h.rdb.HSet(t.Context(), "bs:{run:"+theRun+"}:record", before)
		h.deliver(t)
		h.restart()
	}
	forget()
	h.round(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(h.waiting(t)))); diff != "" || len(first) != 10 {
		t.Errorf("%d events; ids of the second time (-first +second):\n%s", len(first), diff)
	}
}

func TestBouncesWaitInTheLedgerForRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookBounced, campaign.WebhookRunFinished)
	r := h.run(t, 25)
	var all []int
	for i := range 25 {
		all = append(all, i)
	}
	h.outbox.most = 10
	h.ends(t, r, campaign.Bounced, all...)
	h.retire(t)

	seen := map[string]bool{}
	for range 5 {
		h.round(t)
		got := h.deliver(t)
		if len(got) > 11 {
			t.Errorf("%d events wait, want 10 and that of the run at most", len(got))
		}
		for _, e := range got {
			if e.Type != "bounced" {
				continue
			}
			if seen[e.Data.Recipient] {
				t.Errorf("%s was told twice", e.Data.Recipient)
			}
			seen[e.Data.Recipient] = true
		}
	}
	if len(seen) != 25 {
		t.Errorf("%d were told, want 25", len(seen))
	}
	if left, err := h.ledger.Untold(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("%v is still to be told about (%v)", left, err)
	}
	if s, err := h.List(t.Context()); err != nil || s[0].Dropped != 0 {
		t.Errorf("got %+v, %v: nothing is dropped", s, err)
	}
	key := "bs:{run:" + theRun + "}:" + r.Attempt + ":told"
	if left := h.rdb.PTTL(t.Context(), key).Val(); left <= 0 || left > time.Hour {
		t.Errorf("what was told ends in %s, want an hour, as the run does", left)
	}
}

// TestWhatCameBackWasToldWhenItCame has a recipient whose outcome was not known until the
// message came back.
func TestWhatCameBackWasToldWhenItCame(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookBounced)
	r := h.run(t, 3)
	h.ends(t, r, campaign.Bounced, 0, 1)
	_, err := h.ledger.CountAfter(t.Context(), r, []ledger.After{{
		Kind: campaign.EventBounced, Place: ledger.Place{Part: 1, Index: 1}, Day: "2026-10-02",
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.round(t)
	got := h.waiting(t)
	for _, e := range got {
		if e.Data.Recipient != "person0@gmail.com" {
			t.Errorf("got %+v", e)
		}
	}
	if len(got) != 1 {
		t.Errorf("got %d events, want 1", len(got))
	}
}

func TestAddressesThatAreGoneAreCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookBounced)
	r := h.run(t, 3)
	h.ends(t, r, campaign.Bounced, 0, 1, 2)
	h.retire(t)
	h.rdb.Del(t.Context(), "bs:{run:"+theRun+"}:"+r.Attempt+":chunks")
	h.round(t)
	s := h.status(t, "counted", func(s Status) bool { return s.Dropped == 3 })
	if s.Waiting != 0 {
		t.Errorf("got %+v", s)
	}
	if left, err := h.ledger.Untold(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("%v is still to be told about (%v)", left, err)
	}
}

func TestARunThatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookRunFinished)
	if err := h.ledger.AddUntold(t.Context(), "gone-20261001T070000Z"); err != nil {
		t.Fatal(err)
	}
	h.round(t)
	if left, err := h.ledger.Untold(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("%v is still to be told about (%v)", left, err)
	}
}

func TestOneOfSeveralAnnouncersTells(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookRunPaused)
	h.run(t, 1)
	first := h.teller
	h.restart()
	h.round(t)
	if _, err := h.ledger.Turn(t.Context(), theRun, campaign.Paused, "by the operator", campaign.Running); err != nil {
		t.Fatal(err)
	}
	if err := first.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.waiting(t); len(got) != 0 {
		t.Errorf("told by one that has no right to: %v", got)
	}
	h.round(t)
	if got := h.waiting(t); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestRunEndsWithItsContextAndGivesUpItsRight(t *testing.T) {
	t.Parallel()
	h := newHouse(t, campaign.WebhookRunPaused)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.teller.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for h.rdb.Exists(t.Context(), "bs:runs:teller").Val() == 0 {
		<-tick.C
	}
	stop()
	wg.Wait()
	if h.rdb.Exists(t.Context(), "bs:runs:teller").Val() != 0 {
		t.Error("the right to tell is held by nobody")
	}
}
