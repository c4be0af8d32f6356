package feedback_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/internal/feedback"
)

// A herald is told what came back.
type herald struct {
	mu  sync.Mutex
	got []campaign.RecipientEvent
	err error
}

func (h *herald) Announce(_ context.Context, all []campaign.RecipientEvent) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return h.err
	}
	h.got = append(h.got, all...)
	return nil
}

// heard returns what was told, in short, and forgets it.
func (h *herald) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for _, e := range h.got {
		text := string(e.Event) + " " + e.Address
		if e.Event == campaign.WebhookBounced && !e.Permanent {
			text += " (may be in use)"
		}
		if e.Event == campaign.WebhookUnsubscribed {
			text += " from " + e.Topic
		}
		out = append(out, text)
	}
	slices.Sort(out)
	h.got = nil
	return out
}

// withHerald lets others be told what comes back to an office.
func withHerald(t testing.TB) (*office, *herald) {
	t.Helper()
	o := newOffice(t)
	h := &herald{}
	o.announcer = h
	o.restart()
	return o, h
}

func notice(class campaign.Class, of int) campaign.Notice {
	return campaign.Notice{
		ID: string(class) + person(of), Source: "hook:ses", Signed: true, Class: class, Recipient: person(of),
		Status: "5.1.1", Reply: "550 5.1.1 no such user", At: begin.Add(time.Hour),
	}
}

func TestWhatComesBackIsToldOnce(t *testing.T) {
	t.Parallel()
	o, h := withHerald(t)
	o.run(t, "news-20261001T070000Z", begin, 20)
	all := []campaign.Notice{
		notice(campaign.ClassHard, 0), notice(campaign.ClassSoft, 1), notice(campaign.ClassComplaint, 2), notice(campaign.ClassUnsubscribed, 3),
		notice(campaign.ClassDelivered, 4), notice(campaign.ClassBlocked, 5), notice(campaign.ClassDelayed, 6), notice(campaign.ClassOther, 7),
	}
	untrusted := notice(campaign.ClassHard, 8)
	untrusted.Signed = false
	o.record(t, append(all, untrusted)...)
	lower := func(i int) string { return strings.ToLower(person(i)) }
	want := []string{
		"bounced " + lower(0), "bounced " + lower(1) + " (may be in use)", "complained " + lower(2), "unsubscribed " + lower(3) + " from ",
	}
	if diff := gocmp.Diff(want, h.heard()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}

	o.restart()
	o.record(t, all...)
	for i := range all { // by another road
		all[i].ID += " once more"
		all[i].Source = "hook:generic"
	}
	o.record(t, all...)
	if got := h.heard(); len(got) != 0 {
		t.Errorf("told once more: %v", got)
	}
}

func TestAnEventHasWhatIsKnown(t *testing.T) {
	t.Parallel()
	o, h := withHerald(t)
	o.run(t, "news-20261001T070000Z", begin, 20)
	o.record(t, notice(campaign.ClassHard, 3))
	want := []campaign.RecipientEvent{{
		Event: campaign.WebhookBounced, Run: "news-20261001T070000Z", Index: 3, Address: strings.ToLower(person(3)), Account: "main",
		Enhanced: "5.1.1", Reply: "550 5.1.1 no such user", Permanent: true, At: begin.Add(time.Hour), Source: "hook:ses",
	}}
	h.got[0].Address = strings.ToLower(h.got[0].Address)
	if diff := gocmp.Diff(want, h.got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestWhoLeavesTwoTopicsIsToldTwice(t *testing.T) {
	t.Parallel()
	o, h := withHerald(t)
	o.run(t, "news-20261001T070000Z", begin, 20)
	for _, topic := range []string{"news", "offers", "", "news", ""} {
		err := o.Apply(t.Context(), campaign.Event{
			Recipient: person(3), Run: "news-20261001T070000Z", Kind: campaign.EventUnsubscribed, Topic: topic, Source: "page",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"unsubscribed " + person(3) + " from ", "unsubscribed " + person(3) + " from news", "unsubscribed " + person(3) + " from offers"}
	if diff := gocmp.Diff(want, h.heard()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if n := o.after(t, "news-20261001T070000Z")[campaign.EventUnsubscribed]; n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

// A message that came back for now, and then for good, is told twice; and each of both
// once.
func TestABounceForGoodIsToldAfterOneForNow(t *testing.T) {
	t.Parallel()
	o, h := withHerald(t)
	o.run(t, "news-20261001T070000Z", begin, 20)
	for range 2 {
		o.record(t, notice(campaign.ClassSoft, 3))
		o.record(t, notice(campaign.ClassHard, 3))
		o.restart()
	}
	who := strings.ToLower(person(3))
	if diff := gocmp.Diff([]string{"bounced " + who, "bounced " + who + " (may be in use)"}, h.heard()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestSomebodyOfNoRunIsTold(t *testing.T) {
	t.Parallel()
	o, h := withHerald(t)
	n := notice(campaign.ClassComplaint, 3)
	o.record(t, n)
	o.record(t, n)
	if got := h.heard(); len(got) != 1 {
		t.Errorf("got %v, want one", got)
	}
}

// TestNothingIsCountedThatCouldNotBeTold has a queue that fails: the notice is not
// acknowledged, its address is suppressed nevertheless, and it is told when it comes again.
func TestNothingIsCountedThatCouldNotBeTold(t *testing.T) {
	t.Parallel()
	o, h := withHerald(t)
	o.run(t, "news-20261001T070000Z", begin, 20)
	h.err = errors.New("redis is full")
	n := notice(campaign.ClassHard, 3)
	if err := o.Record(t.Context(), []campaign.Notice{n}); !errors.Is(err, h.err) {
		t.Errorf("got %v, want the error of the queue", err)
	}
	if len(o.listed(t, person(3))) != 1 {
		t.Error("the address is not suppressed")
	}
	err := o.Apply(t.Context(), campaign.Event{
		Recipient: person(4), Run: "news-20261001T070000Z", Kind: campaign.EventUnsubscribed, Topic: "news", Source: "page",
	})
	if err != nil {
		t.Errorf("an unsubscribe waits for a webhook: %v", err)
	}

	h.err = nil
	o.restart()
	o.record(t, n)
	if got := h.heard(); len(got) != 1 {
		t.Errorf("got %v, want what came again", got)
	}
}

// TestAProcessThatDiesAnywhereTellsAtLeastOnce cuts the connection at each
// command in turn. Whatever was lost, the event is told at least once, and what is told
// twice is the same event.
func TestAProcessThatDiesAnywhereTellsAtLeastOnce(t *testing.T) {
	t.Parallel()
	o, h := withHerald(t)
	o.run(t, "news-20261001T070000Z", begin, 100)
	of := 0
	for _, behind := range []bool{false, true} {
		for at := range int64(14) {
			of++
			n := notice(campaign.ClassHard, of)
			o.cuts.next(at, behind)
			err := o.Record(t.Context(), []campaign.Notice{n})
			o.cuts.armed.Store(false)
			if err == nil {
				continue
			}
			o.restart()
			o.record(t, n)
		}
	}
	told := map[string][]campaign.RecipientEvent{}
	for _, e := range h.got {
		told[strings.ToLower(e.Address)] = append(told[strings.ToLower(e.Address)], e)
	}
	for i := 1; i <= of; i++ {
		events := told[strings.ToLower(person(i))]
		if len(events) == 0 {
			t.Errorf("%s was not told", person(i))
		}
		for _, e := range events {
			if e.Run != events[0].Run || e.Part != events[0].Part || e.Index != events[0].Index {
				t.Errorf("told as %+v and as %+v", events[0], e)
			}
		}
	}
}

var _ feedback.Announcer = (*herald)(nil)
