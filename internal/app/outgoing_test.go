package app

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/standardwebhooks"
	"broadside/internal/testkit"
)

// TestAnUnsubscribeAndAComplaintReachTheReceiver goes the way from what web and scheduler
// record to the request.
func TestAnUnsubscribeAndAComplaintReachTheReceiver(t *testing.T) {
	t.Parallel()
	testkit.NeedsServer(t)
	a := openProject(t, t.TempDir())
	const secret = "a secret that is plain text 1234"
	key, err := standardwebhooks.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !standardwebhooks.Verify(r.Header, key, body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		got <- string(body)
	}))
	defer crm.Close()

	a.Config.Webhooks = []configs.Webhook{{
		URL: crm.URL, Secret: secret, Events: []campaign.WebhookEvent{campaign.WebhookUnsubscribed, campaign.WebhookComplained},
	}}
	recorder := a.recorder()
	left := campaign.Event{Recipient: "ada@example.org", Kind: campaign.EventUnsubscribed, Topic: "newsletter", Source: "one-click"}
	if err := recorder.Apply(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	err = recorder.Record(t.Context(), []campaign.Notice{
		{ID: "1", Source: "hook:ses", Signed: true, Class: campaign.ClassComplaint, Recipient: "zoe@example.com"},
		{ID: "2", Source: "hook:ses", Signed: true, Class: campaign.ClassHard, Recipient: "bob@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	told := make(chan error, 1)
	go func() { told <- a.tellOthers(ctx) }()
	seen := map[string]bool{}
	for range 2 {
		select {
		case body := <-got:
			for _, want := range []string{`"type":"unsubscribed"`, `"recipient":"ada@example.org"`, `"type":"complained"`, `"recipient":"zoe@example.com"`} {
				seen[want] = seen[want] || strings.Contains(body, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nobody was told within 20 s")
		}
	}
	if len(seen) != 4 || len(got) > 0 {
		t.Errorf("got %v and %d more requests", seen, len(got))
	}
	for what, ok := range seen {
		if !ok {
			t.Errorf("nobody was told %s", what)
		}
	}
	stop()
	if err := <-told; err != nil {
		t.Errorf("tellOthers: %v", err)
	}
}

func TestWithoutWebhooksNobodyIsTold(t *testing.T) {
	t.Parallel()
	testkit.NeedsServer(t)
	a := openProject(t, t.TempDir())
	if a.told() || a.outbox().Wants(campaign.WebhookEvents...) {
		t.Error("somebody is to be told")
	}
	if err := a.tellOthers(t.Context()); err != nil {
		t.Errorf("tellOthers: %v", err)
	}
}
