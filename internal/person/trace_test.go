package person_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/person"
)

// line starts what claims and settles.
func (w *world) line() *ledger.Line {
	w.t.Helper()
	n := w.Ledger.Line(w.rdb, w.Suppression)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		<-done
	})
	return n
}

// send sends to a recipient of the run, with an outcome; without one the claim stays.
func (w *world) send(n *ledger.Line, index int, o *ledger.Outcome) {
	w.t.Helper()
	ref := ledger.Ref{Run: w.run, Index: index}
	claim, err := n.Claim(w.t.Context(), ref, "w.1", ledger.SuppressionKey{})
	if err != nil || !claim.Held {
		w.t.Fatalf("claim: %+v, %v", claim, err)
	}
	if o == nil {
		return
	}
	if ok, err := n.Settle(w.t.Context(), ref, "w.1", *o); err != nil || !ok {
		w.t.Fatalf("settle: %v, %v", ok, err)
	}
}

func (w *world) back(a ledger.After) {
	w.t.Helper()
	if counted, err := w.Ledger.CountAfter(w.t.Context(), w.run, []ledger.After{a}); err != nil || !counted[0] {
		w.t.Fatalf("count what came back: %v, %v", counted, err)
	}
}

func (w *world) trace(a string, o person.TraceOptions) person.Trace {
	w.t.Helper()
	t, err := w.Trace(w.t.Context(), w.parse(a)[0], o)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// shown returns the kinds of events in their order, with what matters of each.
func shown(t person.Trace) []string {
	var all []string
	for _, e := range t.Events {
		text := []string{string(e.Kind)}
		for _, more := range []string{e.Run, e.State, e.Lane, e.QueueID, e.Source, e.Reason, e.Scope, e.List} {
			if more != "" {
				text = append(text, more)
			}
		}
		all = append(all, strings.Join(text, " "))
	}
	return all
}

func person16(a address.Address) string {
	hash := a.Hash()
	return string(hash[:16])
}

// Events come in the order of time, whatever they are read from; those of which the time
// is not known come first.
func TestTraceInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.parse("ada@example.org")[0]
	n := w.line()
	w.send(n, 0, &ledger.Outcome{
		State: campaign.Accepted, Reply: ledger.Reply{Code: 250, Enhanced: "2.0.0", Account: "main", Text: "2.0.0 Ok: queued as 4Bxyz3"},
	})
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	left := ledger.After{Kind: campaign.EventUnsubscribed, Place: ledger.Place{Index: -1}, Person: person16(ada), At: in(3 * time.Hour), Source: "page"}
	w.back(left)
	w.back(ledger.After{
		Kind: campaign.EventBounced, At: in(time.Hour), Source: "mailbox", Account: "main", Said: "552 full",
		Reply: ledger.Reply{Enhanced: "5.2.2"}, Text: "552 full",
	})
	w.back(ledger.After{Kind: campaign.EventDelivered}) // of which no note is kept
	entry := suppression.Entry{Address: "ada@example.org", Reason: "bounce", Source: "mailbox", Run: "news-1", At: in(2 * time.Hour)}
	if _, err := w.Suppression.Add(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		back := suppression.Return{Address: "ada@example.org", At: in(time.Duration(-i-1) * time.Hour), Message: string(rune('a' + i))}
		if _, err := w.Suppression.CountReturns(t.Context(), suppression.SoftLimit{Messages: 3, Within: 24 * time.Hour}, []suppression.Return{back}); err != nil {
			t.Fatal(err)
		}
	}

	got := w.trace("ADA@example.org", person.TraceOptions{})
	want := []string{
		"list readers",
		"delivered news-1",
		"returned",
		"returned",
		"suppressed smtp bounce topic:offers",
		"run news-1 accepted",
		"reply news-1 accepted main/example.org 4Bxyz3",
		"bounced news-1 main/example.org mailbox",
		"suppressed news-1 mailbox bounce all",
		"unsubscribed news-1 page",
	}
	if diff := cmp.Diff(want, shown(got)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if b := got.Events[7]; b.Enhanced != "5.2.2" || b.Reply != "552 full" {
		t.Errorf("what came back: %+v", b)
	}

	// The time of an event stands in its JSON, as null where it is not known.
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `{"at":null,"kind":"list","list":"readers"}`) || strings.Contains(string(text), `"At"`) {
		t.Errorf("JSON: %s", text)
	}

	last := w.trace("ada@example.org", person.TraceOptions{Limit: 2})
	if diff := cmp.Diff(want[8:], shown(last)); diff != "" || last.LeftOut != 8 {
		t.Errorf("the latest two, %d left out (-want +got):\n%s", last.LeftOut, diff)
	}
	ofRun := w.trace("ada@example.org", person.TraceOptions{Run: "news-1"})
	if diff := cmp.Diff(append([]string{want[1]}, want[5:]...), shown(ofRun)); diff != "" {
		t.Errorf("of one run (-want +got):\n%s", diff)
	}
	if other := w.trace("ada@example.org", person.TraceOptions{Run: "other"}); len(other.Events) != 0 {
		t.Errorf("of another run: %q", shown(other))
	}
}

func TestTraceOfWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.line()
	w.send(n, 1, nil)
	if diff := cmp.Diff([]string{"list readers", "run news-1 sending", "claimed news-1"}, shown(w.trace("bob@example.org", person.TraceOptions{}))); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}

	w.send(n, 2, &ledger.Outcome{State: campaign.Deferred, Reply: ledger.Reply{Code: 450, Account: "main", Text: "later"}})
	got := w.trace("cat@example.org", person.TraceOptions{})
	if diff := cmp.Diff([]string{"list readers", "run news-1 deferred", "reply news-1 deferred main/example.org"}, shown(got)); diff != "" {
		t.Errorf("deferred (-want +got):\n%s", diff)
	}
	if e := got.Events[1]; e.Until.IsZero() || e.Attempts != 1 {
		t.Errorf("the run: %+v", e)
	}
	if got := w.trace("new@example.org", person.TraceOptions{}); len(got.Events) != 0 {
		t.Errorf("of nobody: %q", shown(got))
	}
}

// What goes by the hash is found after the addresses of a run, or the person, are gone.
func TestTraceByTheHash(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(*world){
		"expired": func(w *world) {
			w.rdb.Del(w.t.Context(), "bs:{run:news-1}:"+w.run.Attempt+":chunks")
			if err := w.Lists.Rm(w.t.Context(), "readers"); err != nil {
				w.t.Fatal(err)
			}
		},
		"erased": func(w *world) {
			if _, err := w.Erase(w.t.Context(), w.parse("ada@example.org")[0], false); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		w := newWorld(t)
		w.back(ledger.After{Kind: campaign.EventUnsubscribed, Place: ledger.Place{Index: -1}, Person: person16(w.parse("ada@example.org")[0]), At: time.Now(), Source: "page"})
		gone(w)
		got := shown(w.trace("ada@example.org", person.TraceOptions{Run: "news-1"}))
		if diff := cmp.Diff([]string{"unsubscribed news-1 page"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := w.trace("bob@example.org", person.TraceOptions{Run: "news-1"}); name == "expired" && len(got.Events) != 0 {
			t.Errorf("%s: of somebody else: %q", name, shown(got))
		}
	}
}
