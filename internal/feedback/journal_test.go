package feedback_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/internal/feedback"
)

// A signature that does not cover the event proves one: with its token another event changes
// nothing, be it about another address or of another kind, later or at the same time. The
// event itself may come again after a failure.
func TestATokenOfOneUseProvesOneEvent(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.run(t, "news-1", begin, 20)
	event := func(i int, class campaign.Class) campaign.Notice {
		return campaign.Notice{
			ID: "mailgun:token", OneUse: true, Source: "hook:mailgun", Signed: true, Class: class,
			Recipient: person(i), Status: "5.1.1", Reply: "550 5.1.1 user unknown",
		}
	}

	first := event(1, campaign.ClassHard)

	o.cuts.next(3, false)
	if err := o.Record(t.Context(), []campaign.Notice{first}); err == nil {
		t.Fatal("Redis was away, and the event counts as stored")
	}

	o.cuts.armed.Store(false)
	o.record(t, first, event(2, campaign.ClassHard)) // together
	o.record(t, first)
	o.record(t, event(3, campaign.ClassHard))
	o.record(t, event(4, campaign.ClassComplaint))

	want := []string{"person1@example.com bounce all"}
	if diff := gocmp.Diff(want, o.listed(t, person(1), person(2), person(3), person(4))); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
}

func TestOverviewShowsWhatCameByWhichRoad(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.run(t, "news-1", begin, 20)
	delivered := campaign.Notice{ID: "sg:1", Source: "hook:sendgrid", Signed: true, Class: campaign.ClassDelivered, Recipient: person(1)}
	o.record(t, delivered, delivered)
	o.record(t, delivered) // seen
	o.record(t,
		campaign.Notice{Source: "mailbox", Class: campaign.ClassHard, Recipient: "secret@example.com", Reply: "550 <secret@example.com> unknown"},
		campaign.Notice{Source: "mailbox", Class: campaign.ClassNotABounce},
		campaign.Notice{Source: "hook:sendgrid", Signed: true, Class: campaign.ClassOther, Reply: "group_resubscribe"},
	)
	if err := o.journal.Quarantined(t.Context(), "mailbox", "too long, from secret@example.com"); err != nil {
		t.Fatal(err)
	}

	got, err := o.journal.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []feedback.Road{
		{"hook:sendgrid", "delivered", 1, 1},
		{"hook:sendgrid", "other", 1, 1},
		{"mailbox", "not-a-bounce", 1, 1},
		{"mailbox", "quarantined", 1, 1},
		{"mailbox", "untrusted", 1, 1},
	}
	if diff := gocmp.Diff(want, got.Roads); diff != "" {
		t.Errorf("roads (-want +got):\n%s", diff)
	}
	var reasons []string
	for _, r := range got.Recent {
		reasons = append(reasons, r.Source+" "+r.Class+": "+r.Reason)
		if r.At.IsZero() {
			t.Errorf("no time: %+v", r)
		}
	}
	wantReasons := []string{
		"mailbox quarantined: too long, from (address)",
		"hook:sendgrid other: other",
		"mailbox hard: it has no token of ours and no signature: hard",
	}
	if diff := gocmp.Diff(wantReasons, reasons); diff != "" {
		t.Errorf("recent (-want +got):\n%s", diff)
	}
}

func TestTheJournalIsBounded(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var all []campaign.Notice
	for i := range 1500 {
		all = append(all, campaign.Notice{Source: fmt.Sprintf("road %d", i), Class: campaign.ClassHard})
	}
	o.record(t, all...)
	got, err := o.journal.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Roads) != 1001 || len(got.Recent) != 200 {
		t.Errorf("%d roads and %d lines are kept, want 1001 and 200", len(got.Roads), len(got.Recent))
	}
	keys, err := o.rdb.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if ttl := o.rdb.TTL(t.Context(), key).Val(); ttl <= 0 && !strings.HasSuffix(key, ":counts") && !strings.HasSuffix(key, ":recent") {
			t.Errorf("%s has no end", key)
		}
	}
}

func TestIngestRecordsWhatAMessageSays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	unfit := errors.New("it is no message")
	r := feedback.New(feedback.Config{
		Suppression: o.list, Ledger: o.ledger, Journal: o.journal, Keys: o.keys,
		Decode: func(message io.Reader, envelope ...string) ([]campaign.Notice, error) {
			text, err := io.ReadAll(message)
			if err != nil || !bytes.HasPrefix(text, []byte("Subject:")) {
				return nil, errors.Join(unfit, err)
			}
			return []campaign.Notice{{Class: campaign.ClassAutoReply, Reply: strings.Join(envelope, " ")}}, nil
		},
		Judge: func(n campaign.Notice) (campaign.Class, string, int) { return n.Class, n.Reply, 0 },
	})
	if err := r.Ingest(t.Context(), "mailbox", strings.NewReader("no")); !errors.Is(err, unfit) {
		t.Errorf("a message that is none: %v", err)
	}
	if err := r.Ingest(context.Background(), "mailbox", strings.NewReader("Subject: away"), "b-token@example.com"); err != nil {
		t.Fatal(err)
	}
	got, err := o.journal.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]feedback.Road{{"mailbox", "auto-reply", 1, 1}}, got.Roads); diff != "" {
		t.Errorf("roads (-want +got):\n%s", diff)
	}
}
