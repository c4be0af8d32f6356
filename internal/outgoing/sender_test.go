package outgoing

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/configs"
	"broadside/internal/failure"
)

func TestEventsAreDeliveredOnceToThoseWhoAskedForThem(t *testing.T) {
	t.Parallel()
	rdb := dial(t)
	one, other := newCRM(t, nil), newCRM(t, nil)
	o := newOffice(t, rdb, one.webhook(campaign.WebhookBounced), other.webhook(campaign.WebhookBounced, campaign.WebhookComplained))
	complained := bounced(1)
	complained.Event = campaign.WebhookComplained

	for range 2 { // a process that died before it had noted anything
		if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1), bounced(2), bounced(1), complained}); err != nil {
			t.Fatal(err)
		}
	}
	stop := o.run(t)
	if got := one.requests(t, 2); len(got) != 2 {
		t.Errorf("got %d requests, want 2", len(got))
	}
	got := other.requests(t, 3)
	stop()
	if len(got) != 3 || len(one.requests(t, 2)) != 2 {
		t.Errorf("got %d requests and %d, want 3 and 2", len(got), len(one.requests(t, 2)))
	}
	ids := map[string]bool{}
	for _, r := range got {
		ids[r.id] = true
		if !r.verified {
			t.Errorf("not signed as it should be: %+v", r)
		}
	}
	if len(ids) != 3 {
		t.Errorf("got %d ids, want 3", len(ids))
	}
}

func TestAFailedDeliveryComesAgainWithItsID(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	c := newCRM(t, func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	o := newOffice(t, dial(t), c.webhook(campaign.WebhookBounced))
	// A clock that is five minutes further with each try.
	var now atomic.Int64
	begin := time.Now().Add(-4 * time.Minute)
	o.sender.now = func() time.Time { return begin.Add(time.Duration(now.Add(1)) * time.Minute) }
	if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1)}); err != nil {
		t.Fatal(err)
	}
	o.run(t)

	got := c.requests(t, 3)
	s := o.status(t, "delivered", func(s Status) bool { return s.Waiting+s.Retried == 0 })
	if s.Dead != 0 || s.LastDay != 1 || s.Failing {
		t.Errorf("got %+v, want one that was delivered", s)
	}
	var times []string
	for _, r := range got {
		if r.id != got[0].id || r.body != got[0].body || !r.verified {
			t.Errorf("got %+v, want the event %s, verified", r, got[0].id)
		}
		times = append(times, r.timestamp)
	}
	if !slices.IsSorted(times) || times[0] == times[2] {
		t.Errorf("got the times %v: each try is signed when it is made", times)
	}
}

func TestTheDeadAreListedAndCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	c := newCRM(t, func(w http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			http.Error(w, "who is Ann?", http.StatusInternalServerError)
		}
	})
	o := newOffice(t, dial(t), c.webhook(campaign.WebhookBounced))
	if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1), bounced(2)}); err != nil {
		t.Fatal(err)
	}
	o.run(t)
	s := o.status(t, "dead", func(s Status) bool { return s.Dead == 2 })
	if !s.Failing || !strings.Contains(s.Failure, "500") || s.Waiting+s.Retried != 0 {
		t.Errorf("got %+v", s)
	}
	if n := len(c.requests(t, 6)); n != 6 {
		t.Errorf("got %d requests for two events, want three tries of each", n)
	}

	// A notice that is told once more makes no second event.
	if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1)}); err != nil {
		t.Fatal(err)
	}
	var dead []Dead
	if err := o.Dead(t.Context(), func(d Dead) bool { dead = append(dead, d); return true }); err != nil {
		t.Fatal(err)
	}
	if len(dead) != 2 || dead[0].Type != "bounced" || dead[0].Run != "news-20261001T070000Z" || dead[0].Tries != 3 || !strings.Contains(dead[0].Error, "500") {
		t.Fatalf("got %+v", dead)
	}
	if strings.Contains(dead[0].URL+o.log.String(), "hunter2") || strings.Contains(o.log.String(), "Gmail") {
		t.Errorf("the query of a URL, or an address, is shown: %+v\n%s", dead[0], o.log)
	}

	for _, bad := range []string{"", "msg_nobody"} {
		if _, err := o.Retry(t.Context(), bad); !errors.Is(err, failure.ErrInvalid) {
			t.Errorf("retry of %q: got %v", bad, err)
		}
	}
	if _, err := o.Retry(t.Context(), "msg_"); err == nil || !strings.Contains(err.Error(), "several") {
		t.Errorf("retry of what is not one: got %v", err)
	}
	well.Store(true)
	if n, err := o.Retry(t.Context(), dead[0].ID[:20]); n != 1 || err != nil {
		t.Errorf("retry: got %d, %v", n, err)
	}
	o.status(t, "one was tried again", func(s Status) bool { return s.Dead == 1 && s.LastDay == 1 })
	if n, err := o.RetryAll(t.Context()); n != 1 || err != nil {
		t.Errorf("retry of all: got %d, %v", n, err)
	}
	o.status(t, "all were tried again", func(s Status) bool { return s.Dead == 0 && s.LastDay == 2 && !s.Failing })
}

func TestGoneIsTheEndAtOnce(t *testing.T) {
	t.Parallel()
	c := newCRM(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	o := newOffice(t, dial(t), c.webhook(campaign.WebhookBounced))
	if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1)}); err != nil {
		t.Fatal(err)
	}
	o.run(t)
	o.status(t, "dead", func(s Status) bool { return s.Dead == 1 && strings.Contains(s.Failure, "410") })
	if n := len(c.requests(t, 1)); n != 1 {
		t.Errorf("got %d requests, want 1", n)
	}
	if !strings.Contains(o.log.String(), "webhooks are dead") {
		t.Errorf("the log does not say so: %s", o.log)
	}
}

func TestRetryAfterIsHeardOf429And503Alone(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]time.Duration{429: 90 * time.Minute, 503: 90 * time.Minute, 500: 0, 400: 0} {
		asked := make(chan time.Duration, 10)
		c := newCRM(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "5400")
			w.WriteHeader(status)
		})
		o := newOffice(t, dial(t), c.webhook(campaign.WebhookBounced))
		o.sender.pause = func(failed int, d time.Duration) (time.Duration, bool) {
			asked <- d
			return pauseAfter(failed, d)
		}
		if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1)}); err != nil {
			t.Fatal(err)
		}
		stop := o.run(t)
		if got := <-asked; got != want {
			t.Errorf("%d: got a pause of %s, want %s", status, got, want)
		}
		o.status(t, "it waits for its time", func(s Status) bool { return s.Retried == 1 && s.Waiting == 0 })
		stop()
	}
}

// TestASlowReceiverHoldsUpNoOther has a receiver that never answers, with more events
// than requests are under way at once.
func TestASlowReceiverHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	slow := newCRM(t, func(http.ResponseWriter, *http.Request) { <-release })
	fast := newCRM(t, nil)
	o := newOffice(t, dial(t), slow.webhook(campaign.WebhookBounced), fast.webhook(campaign.WebhookBounced))
	var all []campaign.RecipientEvent
	for i := range 50 {
		all = append(all, bounced(i))
	}
	if err := o.outbox.Announce(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	stop := o.run(t)
	fast.requests(t, 50)
	if n := len(slow.requests(t, atOnce)); n != atOnce {
		t.Errorf("%d requests are under way at the slow one, want %d", n, atOnce)
	}
	free()
	slow.requests(t, 50)
	stop()
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	t.Parallel()
	c := newCRM(t, nil)
	o := newOffice(t, dial(t), c.webhook(campaign.WebhookBounced))
	o.outbox.most = 3
	for _, some := range [][]campaign.RecipientEvent{{bounced(1), bounced(2)}, {bounced(3), bounced(4), bounced(5)}} {
		if err := o.outbox.Announce(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	o.status(t, "full", func(s Status) bool { return s.Waiting == 3 && s.Dropped == 2 })
	if !strings.Contains(o.log.String(), "webhooks are dropped") {
		t.Errorf("the log does not say so: %s", o.log)
	}
	o.run(t)
	c.requests(t, 3)
	if _, err := o.RetryAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.status(t, "counted anew", func(s Status) bool { return s.Dropped == 0 && s.Waiting == 0 && s.LastDay == 3 })
}

// TestADeliveryOutlivesTheProcess ends the sender while a request is under way.
func TestADeliveryOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	var slow atomic.Bool
	slow.Store(true)
	c := newCRM(t, func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	rdb := dial(t)
	o := newOffice(t, rdb, c.webhook(campaign.WebhookBounced))
	if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1)}); err != nil {
		t.Fatal(err)
	}
	stop := o.run(t)
	c.requests(t, 1)
	stop()
	slow.Store(false)
	free()

	o = newOffice(t, rdb, c.webhook(campaign.WebhookBounced))
	o.run(t)
	got := c.requests(t, 2)
	if got[0].id != got[1].id {
		t.Errorf("got %s and then %s, want the same event", got[0].id, got[1].id)
	}
	o.status(t, "delivered", func(s Status) bool { return s.LastDay == 1 && s.Waiting+s.Retried+s.Dead == 0 })
}

func TestWhatWaitsForARemovedReceiverIsListed(t *testing.T) {
	t.Parallel()
	rdb := dial(t)
	c := newCRM(t, nil)
	o := newOffice(t, rdb, c.webhook(campaign.WebhookBounced))
	if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1)}); err != nil {
		t.Fatal(err)
	}
	s := newOffice(t, rdb).status(t, "removed", func(s Status) bool { return s.Waiting == 1 })
	if s.URL != "" || s.ID != c.webhook().ID() {
		t.Errorf("got %+v", s)
	}
}

// A receiver that is configured is kept; of one that is not, everything goes.
func TestForgetIsForReceiversThatAreNotConfigured(t *testing.T) {
	t.Parallel()
	rdb := dial(t)
	c := newCRM(t, nil)
	w := c.webhook(campaign.WebhookBounced)
	o := newOffice(t, rdb, w)
	if err := o.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1), bounced(2)}); err != nil {
		t.Fatal(err)
	}
	if err := o.Register.failed(t.Context(), w, "away", time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, which := range []string{w.URL, w.ID(), w.String()} {
		if _, err := o.Forget(t.Context(), which); !errors.Is(err, failure.ErrRefused) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", which, err)
		}
	}

	later := newOffice(t, rdb)
	if _, err := later.Forget(t.Context(), w.String()); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("by a URL without its query: got %v", err)
	}
	if n, err := later.Forget(t.Context(), w.URL); n != 2 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if left := rdb.Keys(t.Context(), "*webhook*"+w.ID()+"*").Val(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	if _, err := later.Forget(t.Context(), w.ID()); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("once more: got %v", err)
	}
}

func TestAReceiverIsMadeOfWhatLoadHasChecked(t *testing.T) {
	t.Parallel()
	_, err := NewSender([]configs.Webhook{{URL: "https://crm.acme.example/", Secret: "tiger"}}, nil, nil, slog.New(slog.DiscardHandler))
	if err == nil || strings.Contains(err.Error(), "tiger") {
		t.Errorf("got %v", err)
	}
}

func TestEraseTakesAPersonOutOfTheQueues(t *testing.T) {
	t.Parallel()
	rdb := dial(t)
	c := newCRM(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	o := newOffice(t, rdb, c.webhook(campaign.WebhookBounced))
	of := func(index int, who string) campaign.RecipientEvent {
		e := bounced(index)
		e.Address = who
		return e
	}
	announce := func(some ...campaign.RecipientEvent) {
		t.Helper()
		if err := o.outbox.Announce(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	announce(of(1, "ann@gmail.com"), of(2, "bob@gmail.com"))
	stop := o.run(t)
	o.status(t, "dead", func(s Status) bool { return s.Dead == 2 })
	stop()
	announce(of(3, "Ann@gmail.com"), of(4, "joann@gmail.com"))

	ann, err := address.Parse("ANN@gmail.com")
	if err != nil {
		t.Fatal(err)
	}
	all := newOffice(t, rdb) // also of receivers that are not configured any more
	for _, dryRun := range []bool{true, false} {
		if n, err := all.Erase(t.Context(), ann, dryRun); n != 2 || err != nil {
			t.Errorf("dry run %v: got %d, %v, want 2", dryRun, n, err)
		}
	}
	if n, err := all.Erase(t.Context(), ann, false); n != 0 || err != nil {
		t.Errorf("once more: got %d, %v", n, err)
	}
	o.status(t, "the others are left", func(s Status) bool { return s.Dead == 1 && s.Waiting == 1 })
}
