package person_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/person"
	"broadside/internal/runs"
	"broadside/internal/subscribe"
	"broadside/internal/testkit"

	"github.com/redis/go-redis/v9"
)

// A world has a list, a run of three recipients and a suppression.
type world struct {
	*person.People
	t   *testing.T
	rdb *redis.Client
	run *ledger.Run
}

func newWorld(t *testing.T) *world {
	t.Helper()
	opts, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	l := ledger.New(rdb, "bs", redis.NewScript)
	w := &world{t: t, rdb: rdb, People: &person.People{
		Suppression: suppression.New(rdb, "bs", redis.NewScript), Lists: audience.NewLists(rdb, "bs"), Ledger: l,
		Runs:        runs.New(runs.Config{Ledger: l, Log: slog.New(slog.DiscardHandler)}),
		Subscribers: subscribe.NewStore(rdb, "bs", redis.NewScript),
	}}

	for _, people := range [][]string{{"ada@example.org", "bob@example.org"}, {"cat@example.org"}} {
		if _, err := w.Lists.Add(t.Context(), "readers", w.parse(people...)...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Suppression.Add(t.Context(), suppression.Entry{Address: "ada@example.org", Scope: suppression.Topic("offers"), Reason: "bounce", Source: "smtp", Evidence: "550 no ada@example.org here", At: time.Now().Add(-time.Minute)}); err != nil {
		t.Fatal(err)
	}
	w.makeRun(w.parse("Ada@example.org", "bob@example.org", "cat@example.org"))
	return w
}

func (w *world) parse(texts ...string) []address.Address {
	w.t.Helper()
	all, err := address.ParseAll(texts)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) makeRun(people []address.Address) {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.Ledger.Create(ctx, ledger.NewRun{ID: "news-1", Campaign: "news", Topic: "news", Created: time.Now(), MaxAttempts: 3, ExpiresAfter: time.Hour}); err != nil {
		w.t.Fatal(err)
	}
	var rows []audience.Row
	for i, a := range people {
		rows = append(rows, audience.Row{Line: i + 2, Address: a, Values: []string{a.String(), "Name " + a.Local}})
	}
	e := w.Ledger.Expand("news-1")
	for _, err := range []error{
		e.Content(ctx, campaign.Snapshot{Campaign: "news", Columns: []string{"email", "name"}}),
		e.Add(ctx, ledger.Chunk{Data: audience.EncodeChunk(nil, rows), Suppressed: make([]bool, len(rows))}),
		e.Ready(ctx, campaign.Skipped{}),
	} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	rec, err := w.Ledger.Record(ctx, "news-1")
	if err != nil {
		w.t.Fatal(err)
	}
	w.run = rec.Handle()
}

// states returns the recipients of the run with their states, in their order.
func (w *world) states() string {
	w.t.Helper()
	var all []string
	err := w.Runs.Recipients(w.t.Context(), "news-1", "", func(r runs.Recipient) error {
		all = append(all, r.Address+" "+r.State)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(all, ", ")
}

func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known, err := w.Export(t.Context(), w.parse("ADA@example.org")[0])
	if err != nil {
		t.Fatal(err)
	}
	if known.Address != "ada@example.org" || len(known.Suppressions) != 1 || len(known.Lists) != 1 || len(known.Runs) != 1 || len(known.Unread) != 0 {
		t.Fatalf("got %+v", known)
	}
	if r := known.Runs[0]; r.Run != "news-1" || r.Campaign != "news" || r.State != "pending" || r.Address != "Ada@example.org" {
		t.Errorf("run: got %+v", r)
	}

	known, err = w.Export(t.Context(), w.parse("new@example.org")[0])
	if err != nil || len(known.Suppressions)+len(known.Lists)+len(known.Runs) != 0 {
		t.Errorf("of nobody: got %+v, %v", known, err)
	}
}

// After an erasure no key in Redis has the address, the others are as they were, and the
// person is not mailed.
func TestErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.parse("ada@example.org")[0]
	before := w.states()
	for range 2 { // a dry run changes nothing
		e, err := w.Erase(t.Context(), ada, true)
		if err != nil || !e.DryRun || len(e.Lists) != 1 || len(e.Runs) != 1 || w.states() != before {
			t.Fatalf("dry run: %+v, %v", e, err)
		}
	}

	for i, want := range []int{1, 0} { // and an erasure can be repeated
		e, err := w.Erase(t.Context(), ada, false)
		if err != nil || e.DryRun || len(e.Lists) != want || len(e.Runs) != want {
			t.Fatalf("erasure %d: %+v, %v", i, e, err)
		}
	}
	if got, want := w.states(), "erased@erased.invalid suppressed, bob@example.org pending, cat@example.org pending"; got != want {
		t.Errorf("recipients: got %s, want %s", got, want)
	}

	known, err := w.Export(t.Context(), ada)
	if err != nil || len(known.Lists)+len(known.Runs) != 0 {
		t.Errorf("known afterwards: %+v, %v", known, err)
	}
	scopes := map[string]string{}
	for _, r := range known.Suppressions {
		scopes[r.Entry.Scope] = r.Entry.Reason + " " + r.Entry.Source
	}
	if len(scopes) != 2 || scopes["all"] != "manual erased" || scopes["topic:offers"] != "bounce smtp" {
		t.Errorf("suppressions: got %v", scopes)
	}
	people := []suppression.Person{suppression.PersonOf(ada), suppression.PersonOf(w.parse("erased@erased.invalid")[0]), suppression.PersonOf(w.parse("bob@example.org")[0])}
	got, err := w.Suppression.Suppressed(t.Context(), "news", people)
	if err != nil || !got[0] || !got[1] || got[2] {
		t.Errorf("suppressed: got %v, %v, want ada and nobody", got, err)
	}

	var out strings.Builder
	if _, err := w.Suppression.Export(t.Context(), &out, false); err != nil || strings.Contains(out.String(), "ada@") {
		t.Errorf("export: %v\n%s", err, out.String())
	}
	list, err := w.Lists.Show(t.Context(), "readers")
	if err != nil || list.Count != 2 || len(list.Versions) != 1 {
		t.Errorf("list: got %+v, %v, want two people in the newest version alone", list, err)
	}
}

// A confirmed subscription is shown with what was agreed to, and erased with the address.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatal(err)
	}
	forms, err := subscribe.New(subscribe.Config{
		Settings: &configs.Config{
			PublicURL: "https://news.acme.example", Accounts: map[string]configs.Account{"main": {}},
			Subscribe: map[string]configs.SubscribeForm{"newsletter": {List: "waiting", Topic: "newsletter", From: "news@acme.example"}},
		},
		Keys: keys, Store: w.Subscribers, Suppression: w.Suppression, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := time.Now().Truncate(time.Millisecond).UTC()
	link, err := keys.SealSubscribe(token.Subscribe{Form: "newsletter", Address: "Ada@example.org", Source: "page", Network: "192.0.2.0/24", Text: "0123456789ab", Language: "en", Asked: asked})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := forms.Confirm(t.Context(), link); !ok || err != nil {
		t.Fatalf("Confirm: got %v, %v", ok, err)
	}

	ada := w.parse("ada@example.org")[0]
	known, err := w.Export(t.Context(), ada)
	if err != nil || len(known.Subscriptions) != 1 {
		t.Fatalf("known: %+v, %v", known, err)
	}
	if p := known.Subscriptions[0]; p.List != "waiting" || !p.Asked.Equal(asked) || p.Confirmed.Before(asked) || p.Source != "page" || p.Network != "192.0.2.0/24" {
		t.Errorf("proof: %+v", p)
	}
	events := w.trace("ada@example.org", person.TraceOptions{}).Events
	i := slices.IndexFunc(events, func(e person.Event) bool { return e.Kind == person.KindAsked })
	if i < 0 || !events[i].At.Equal(asked) || events[i].Source != "page" || events[i].Form != "newsletter" || events[i].Topic != "newsletter" {
		t.Fatalf("trace: %+v, want that it was asked for", events)
	}
	if e := events[i+1]; e.Kind != person.KindConfirmed || !e.At.Equal(known.Subscriptions[0].Confirmed) || e.List != "waiting" || e.Text != "0123456789ab" {
		t.Errorf("trace: %+v, want that it was confirmed", e)
	}
	if got := shown(w.trace("ada@example.org", person.TraceOptions{Run: "news-1"})); slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, "asked") }) {
		t.Errorf("of one run: %q", got)
	}
	for i, want := range []int{1, 1, 0} {
		e, err := w.Erase(t.Context(), ada, i == 0)
		if err != nil || len(e.Subscriptions) != want {
			t.Errorf("erasure %d: %+v, %v, want %d subscriptions", i, e, err, want)
		}
	}
	if n := w.rdb.Exists(t.Context(), "bs:{subscribe}:proofs:waiting:newsletter", "bs:{subscribe}:waiting:waiting").Val(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	if ok, err := forms.Confirm(t.Context(), link); ok || err != nil {
		t.Errorf("the link of somebody who was erased: got %v, %v, want nothing confirmed", ok, err)
	}
}
