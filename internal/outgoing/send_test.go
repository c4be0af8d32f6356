package outgoing

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/configs"
)

func receiverOf(t testing.TB, w configs.Webhook) *receiver {
	t.Helper()
	to, err := newReceiver(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(to.close)
	return to
}

func TestARequestIsSignedAsOurOwnVerifierWantsIt(t *testing.T) {
	t.Parallel()
	c := newCRM(t, nil)
	e, err := ofRecipient("bs", bounced(7), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	to := receiverOf(t, c.webhook())
	for range 2 {
		answer, err := to.post(t.Context(), e.ID, e.body, time.Now())
		if err != nil || !answer.Delivered() {
			t.Fatalf("got %+v, %v", answer, err)
		}
	}

	for _, r := range c.requests(t, 2) {
		if !r.verified || r.id != e.ID || r.body != string(e.body) {
			t.Errorf("got %+v, want the event %s, verified", r, e.ID)
		}
	}

	other := c.webhook()
	other.Secret = "another secret, of plain text"
	if _, err := receiverOf(t, other).post(t.Context(), e.ID, e.body, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := c.requests(t, 3)[2]; got.verified {
		t.Error("a request that another secret has signed was verified")
	}
}

func TestAnEventOfARecipient(t *testing.T) {
	t.Parallel()
	e, err := ofRecipient("bs", bounced(7), time.UnixMilli(1_790_000_001_500))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"bounced","timestamp":"2026-09-21T14:13:21.500Z","data":{"recipient":"Ann@Gmail.com","run":"news-20261001T070000Z","campaign":"news",` +
		`"topic":"news","provider":"gmail","account":"main","permanent":true,"code":550,"enhanced":"5.1.1","reply":"550 5.1.1 no <such> user",` +
		`"at":"2026-09-21T14:13:20.123Z","source":"smtp"}}`
	if diff := cmp.Diff(want, string(e.body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}

	if again, _ := ofRecipient("bs", bounced(7), time.Now()); again.ID != e.ID {
		t.Error("the same event has another id")
	}
	for name, change := range map[string]func(*campaign.RecipientEvent){
		"recipient": func(e *campaign.RecipientEvent) { e.Index = 8 },
		"part":      func(e *campaign.RecipientEvent) { e.Part = 2 },
		"run":       func(e *campaign.RecipientEvent) { e.Run = "news-20261002T070000Z" },
		"kind":      func(e *campaign.RecipientEvent) { e.Event = campaign.WebhookComplained },
	} {
		other := bounced(7)
		change(&other)
		if got, _ := ofRecipient("bs", other, time.Now()); got.ID == e.ID {
			t.Errorf("an event of another %s has the same id", name)
		}
	}
	if got, _ := ofRecipient("other", bounced(7), time.Now()); got.ID == e.ID {
		t.Error("an event of another installation has the same id")
	}

	var about struct{ Data map[string]any }
	left := campaign.RecipientEvent{Event: campaign.WebhookUnsubscribed, Index: -1, Address: "ann@gmail.com", At: time.Now(), Source: "page"}
	e, err = ofRecipient("bs", left, time.Now())
	if err != nil || json.Unmarshal(e.body, &about) != nil {
		t.Fatalf("%s: %v", e.body, err)
	}
	if _, has := about.Data["permanent"]; has || about.Data["run"] != "" || about.Data["topic"] != "" {
		t.Errorf("got %v", about.Data)
	}
	left.Topic = "news"
	if of, _ := ofRecipient("bs", left, time.Now()); of.ID == e.ID {
		t.Error("leaving one topic is the same event as leaving all")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		want   string // of the refusal; empty: delivered
	}{
		{"200", func(w http.ResponseWriter, _ *http.Request) {}, ""},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, ""},
		{"410", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, "410 Gone"},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "500 Internal Server Error, expected 2xx"},
		{"a status that nobody knows", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, "answered 599, expected 2xx"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, "a redirect is not followed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCRM(t, test.answer)
			answer, err := receiverOf(t, c.webhook()).post(t.Context(), "msg_1", []byte(`{}`), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			why := answer.Refusal()
			if (why == nil) != (test.want == "") || why != nil && !strings.Contains(why.Error(), test.want) {
				t.Errorf("got %v, want %q", why, test.want)
			}
			if got := c.requests(t, 1); len(got) != 1 {
				t.Errorf("got %d requests, want 1: a redirect was followed", len(got))
			}
		})
	}
}

func TestLittleIsReadOfAnAnswer(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	ended := make(chan struct{})
	c := newCRM(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		_, _ = io.WriteString(w, "thank\nyou\x1b[2J ")
		for range 10_000 { // 640 MB
			n, err := w.Write(make([]byte, 64<<10))
			written.Add(int64(n))
			if err != nil || r.Context().Err() != nil {
				return
			}
		}
	})
	answer, err := receiverOf(t, c.webhook()).post(t.Context(), "msg_1", []byte(`{}`), time.Now())
	if err != nil || !answer.Delivered() {
		t.Fatalf("got %+v, %v", answer, err)
	}
	if answer.Body != "thank you[2J" {
		t.Errorf("got the answer %q", answer.Body)
	}
	<-ended
	if n := written.Load(); n > 100<<20 {
		t.Errorf("%d bytes were taken from the receiver", n)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var addresses sync.Map
	c := newCRM(t, func(_ http.ResponseWriter, r *http.Request) { addresses.Store(r.RemoteAddr, true) })
	to := receiverOf(t, c.webhook())
	for range 5 {
		if _, err := to.post(t.Context(), "msg_1", []byte(`{}`), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	c.requests(t, 5)
	n := 0
	addresses.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("got %d connections for five requests, one after another", n)
	}
}

// TestNamesAreCheckedWhenTheyAreUsed has a receiver whose name leads to this machine.
func TestNamesAreCheckedWhenTheyAreUsed(t *testing.T) {
	t.Parallel()
	c := newCRM(t, nil)
	w := c.webhook()
	_, port, _ := strings.Cut(strings.TrimPrefix(c.URL, "http://"), ":")

	// The guard of a URL that names another machine, and a name that DNS says is this one.
	to := receiverOf(t, w)
	to.URL = "http://localhost:" + port
	if _, err := to.post(t.Context(), "msg_1", []byte(`{}`), time.Now()); err != nil {
		t.Fatalf("a URL of this machine: %v", err)
	}

	w.URL = "https://crm.acme.example/"
	to = receiverOf(t, w)
	to.URL = "http://localhost:" + port + "/?token=hunter2"
	_, err := to.post(t.Context(), "msg_1", []byte(`{}`), time.Now())
	if err == nil || !strings.Contains(err.Error(), "it is not an address of the public Internet") {
		t.Errorf("got %v, want a refusal", err)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the query of the URL is in the error: %v", err)
	}

	w.AllowPrivate = true
	to = receiverOf(t, w)
	to.URL = "http://localhost:" + port
	if _, err := to.post(t.Context(), "msg_1", []byte(`{}`), time.Now()); err != nil {
		t.Errorf("allow_private: %v", err)
	}
	if got := c.requests(t, 2); len(got) != 2 {
		t.Errorf("got %d requests, want 2", len(got))
	}
}

func TestASlowReceiverIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := newCRM(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	to := receiverOf(t, c.webhook())
	to.client.Timeout = 50 * time.Millisecond
	_, err := to.post(t.Context(), "msg_1", []byte(`{}`), time.Now())
	if err == nil || !strings.Contains(err.Error(), "no answer within 15s") {
		t.Errorf("got %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := to.post(ctx, "msg_1", []byte(`{}`), time.Now()); err == nil {
		t.Error("a request was sent although the process ends")
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	t.Parallel()
	to := receiverOf(t, configs.Webhook{URL: "https://crm.acme.example/", Secret: secret})
	if to.client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the guard would see the address of a proxy")
	}
}

func FuzzAboutOf(f *testing.F) {
	f.Add([]byte(`{"type":"bounced","timestamp":"2026-10-01T07:00:00Z","data":{"run":"r"}}`))
	f.Add([]byte(`{"data":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = fmt.Sprint(aboutOf(body))
		if text := oneLine(string(body)); len(text) > maxShown+3 || strings.ContainsAny(text, "\r\n\x1b") {
			t.Errorf("got %q", text)
		}
	})
}
