package doctor

import (
	"strings"
	"testing"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/outgoing"
	"broadside/internal/store"
)

func TestWebhookFindings(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	const url = "https://crm.acme.example/hook"
	for _, test := range []struct {
		name   string
		status outgoing.Status
		served bool
		level  store.Level
		want   string
	}{
		{"all is well", outgoing.Status{URL: url, LastDay: 12, Waiting: 1, Retried: 2}, true, store.Good, "in the last day: 12, waiting: 3"},
		{"dead ones", outgoing.Status{URL: url, Dead: 3, Failure: "answered 500"}, true, store.Warning, "dead events: 3"},
		{"dropped ones", outgoing.Status{URL: url, Dropped: 7}, true, store.Warning, "no room: 7"},
		{"nobody sends", outgoing.Status{URL: url, Waiting: 4}, false, store.Warning, "no scheduler is alive; events that wait: 4"},
		{"nobody sends, and nothing waits", outgoing.Status{URL: url}, false, store.Good, "waiting: 0"},
		{"it fails", outgoing.Status{URL: url, Failing: true, FailedAt: &at, Failure: "answered 500", Retried: 1}, true, store.Warning, "failed at 2026-10-01T07:00:00Z: answered 500"},
		{"removed", outgoing.Status{ID: "abc", Waiting: 1}, true, store.Warning, "not configured any more"},
	} {
		got := webhookFinding(test.status, test.served)
		if got.Level != test.level || !strings.Contains(got.Text, test.want) || got.Code != codes.Webhook || !strings.HasPrefix(got.Subject, "webhook ") {
			t.Errorf("%s: got %+v", test.name, got)
		}
		if got.Level != store.Good && (got.Why == "" || got.Fix == "") {
			t.Errorf("%s: no reason or no fix: %+v", test.name, got)
		}
	}
}
