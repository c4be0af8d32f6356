package compose

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/token"
)

// composed returns the message to ada of a run with the origin.
func composed(t *testing.T, origin string, r Recipient) (Draft, error) {
	t.Helper()
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatal(err)
	}

	c, err := New(campaign.Snapshot{
		Campaign: "news", Topic: "news", From: "News <news@acme.example>", Subject: "Hello {{.name}}", Markdown: "Hello {{.name}}\n",
		Layout: "plain", Postal: "Acme", PublicURL: "https://acme.example", ReturnTo: "bounce.acme.example", TokenHeader: "X-PM-Metadata-token",
		Columns: []string{"name"}, Accounts: []string{"a"}, Origin: origin,
	}, keys)
	if err != nil {
		t.Fatal(err)
	}

	r.Date = time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
	r.Row.Address, err = address.Parse("ada@example.org")
	if err != nil {
		t.Fatal(err)
	}

	var d Draft
	err = c.Compose(&d, r)

	return d, err
}

// A message that is sent once more, by another run and from another place in
// it, is the same to the last byte: Message-ID, return path, unsubscribe link.
func TestAMessageIsTheSameInARunThatSendsItOnceMore(t *testing.T) {
	t.Parallel()
	first, err := composed(t, "", Recipient{Run: "news-1", Part: 3, Index: 17, Row: audience.Row{Values: []string{"Ada"}}})
	if err != nil {
		t.Fatal(err)
	}

	again, err := composed(t, "news-1", Recipient{Run: "news-2", Part: 0, Index: 0, Row: audience.Row{Values: []string{"Ada"}, Meta: &audience.Meta{Origin: &audience.Origin{Part: 3, Index: 17}}}})
	if err != nil {
		t.Fatal(err)
	}

	if first.From != again.From || first.To != again.To {
		t.Errorf("envelope is %s %s, want %s %s", again.From, again.To, first.From, first.To)
	}
	if diff := cmp.Diff(string(first.Message), string(again.Message)); diff != "" {
		t.Errorf("message (-first +again):\n%s", diff)
	}

	// A run that was made by a version without Meta has the place behind the merge fields.
	old, err := composed(t, "news-1", Recipient{Run: "news-2", Row: audience.Row{Values: []string{"Ada", "3:17"}}})
	if err != nil || old.From != first.From || string(old.Message) != string(first.Message) {
		t.Errorf("of a run of version 1: from %s, %v:\n%s", old.From, err, old.Message)
	}

	other, err := composed(t, "", Recipient{Run: "news-2", Row: audience.Row{Values: []string{"Ada"}}})
	if err != nil || other.From == first.From || string(other.Message) == string(first.Message) {
		t.Errorf("another run has the same message, error %v", err)
	}

	for _, values := range [][]string{{"Ada"}, {"Ada", "3"}, {"Ada", "x:1"}} {
		if _, err := composed(t, "news-1", Recipient{Run: "news-2", Row: audience.Row{Values: values}}); err == nil || !strings.Contains(err.Error(), "find the first message") {
			t.Errorf("values %q: error %v", values, err)
		}
	}
}

// The address that unsubscribes is the return path of the message, which names it.
func TestReturnPathUnsubscribes(t *testing.T) {
	t.Parallel()
	d, err := composed(t, "", Recipient{Run: "news-1", Part: 3, Index: 17, Row: audience.Row{Values: []string{"Ada"}}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.From, token.Prefix) || !strings.Contains(string(d.Message), ">,\r\n <mailto:"+d.From+"?subject=unsubscribe>\r\n") {
		t.Errorf("the message from %s has no such address:\n%s", d.From, d.Message)
	}
}

func TestTheTokenHeaderHasTheTokenOfTheMessageID(t *testing.T) {
	t.Parallel()
	d, err := composed(t, "", Recipient{Run: "news-1", Part: 3, Index: 17, Row: audience.Row{Values: []string{"Ada"}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(d.Message))
	if err != nil {
		t.Fatal(err)
	}
	header, id := m.Header.Get("X-PM-Metadata-token"), m.Header.Get("Message-ID")
	if header == "" || len(header) > 80 || !strings.HasPrefix(id, "<"+header+"@") { // Postmark keeps 80 characters
		t.Errorf("the header has %q, the Message-ID is %q", header, id)
	}
}
