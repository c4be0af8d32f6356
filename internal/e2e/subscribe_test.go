package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"broadside/campaign/token"
	"broadside/internal/testkit"
)

// aForm is what stands behind the accounts where people can subscribe.
const aForm = "subscribe:\n  readers: {topic: newsletter, from: Acme <news@acme.example>}\n"

// patience is how long a subscription may take, with a process that dies in between.
const patience = 40 * time.Second

// fillIn posts a form to web and expects that it is taken.
func (w *world) fillIn(link string, values url.Values) {
	w.t.Helper()
	res, err := http.PostForm(link, values)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatalf("POST %s answers %s, %v:\n%s", link, res.Status, err, text)
	}
}

// confirmLink returns the path that a message to somebody has.
func confirmLink(t *testing.T, who string) string {
	t.Helper()
	keys, err := token.NewKeys([]string{secret})
	if err != nil {
		t.Fatal(err)
	}
	link, err := keys.SealSubscribe(token.Subscribe{Form: "readers", Address: who, Language: "en", Asked: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return "/subscribe/confirm/" + link
}

// soon waits until something is so.
func (w *world) soon(what string, ok func() bool) {
	w.t.Helper()
	for range testkit.Tries(patience) {
		if ok() {
			return
		}
	}
	w.t.Fatalf("not so within %s: %s", patience, what)
}

// subscribers returns who is on the list of the form.
func (w *world) subscribers() string {
	w.t.Helper()
	out, err := w.command("list", "export", "readers").Output()
	if err != nil {
		return "" // there is no list yet
	}
	return string(out)
}

// subscribes has somebody ask for the newsletter and confirm it.
func (w *world) subscribes(base string, sink *testkit.RecSink) {
	w.t.Helper()
	const who = "subscriber@example.org"
	w.fillIn(base+"/subscribe/readers", url.Values{"email": {who}})
	w.soon("the confirmation is sent", func() bool { return sink.Accepted()[who] == 1 })
	w.fillIn(base+confirmLink(w.t, who), url.Values{"confirm": {"yes"}})
	w.soon("the list has who confirmed", func() bool { return strings.Contains(w.subscribers(), who) })
	w.run(0, "person", "erase", who)
}

// TestSubscriptionsOutliveAKill kills web whenever it has answered: every message that
// was promised is sent, and everybody who has confirmed is on the list, once.
func TestSubscriptionsOutliveAKill(t *testing.T) {
	t.Parallel()
	const people = 4
	sink := testkit.NewRecsink(t, "-delay", "300ms")
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), "") + aForm})
	address := func(i int) string { return fmt.Sprintf("subscriber%d@example.org", i) }

	web, base := w.web()
	for i := range people {
		w.fillIn(base+"/subscribe/readers", url.Values{"email": {address(i)}})
	}
	web.Kill()
	web, base = w.web()
	for i := range people {
		w.soon(address(i)+" gets a message", func() bool { return sink.Accepted()[address(i)] > 0 })
	}
	if all := sink.Accepted(); len(all) != people {
		t.Errorf("messages to %v", all)
	}

	for i := range people {
		w.fillIn(base+confirmLink(t, address(i)), url.Values{"confirm": {"yes"}})
		if i == 1 {
			web.Kill()
			_, base = w.web()
		}
	}
	w.soon("everybody is on the list", func() bool {
		list := w.subscribers()
		for i := range people {
			if strings.Count(list, address(i)) != 1 {
				return false
			}
		}
		return true
	})
}
