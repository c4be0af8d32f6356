package compose

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/token"
)

// newsletter returns the composer of a newsletter of 20 KB with twelve merge
// fields, and recipients for it. Its return paths are under returnTo, if that is not empty.
func newsletter(t testing.TB, returnTo string, tracking campaign.Tracking) (*Composer, []Recipient) {
	t.Helper()
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatal(err)
	}

	var letter strings.Builder
	letter.WriteString(`# Hello {{.first_name}} {{.last_name}}

{{.company}}, {{.street}}, {{.city}}, {{.country}}: you have been with us since {{.since}}
on the **{{.plan}}** plan, and {{.orders}} orders later there are {{.points}} points on your account.

[Use code {{.code}} in {{.shop}}](https://www.acme.example/offer?code={{.code}})
`)
	for i := range 9 {
		fmt.Fprintf(&letter, `
## %d. Something worth your time

People who garden know that a *good* tool outlives its price tag. This month we looked at what came back
to our workshop, what was repaired in an hour, and what we would not sell again to anybody, however often
they ask. [Read on](https://www.acme.example/news/%d): it takes about four minutes.
%s
`, i+1, i+1, strings.Repeat("more of the same, ", 18))
	}

	c, err := New(campaign.Snapshot{
		Campaign: "news", Topic: "news", From: "News <news@acme.example>", ReplyTo: "hello@acme.example",
		Subject: "{{.first_name}}, {{.points}} points and three things from {{.shop}}", Preheader: "What is new for {{.company}} in {{.city}}",
		Markdown: letter.String(), Layout: "plain", Postal: "Acme Ltd, 1 High Street, London", PublicURL: "https://news.acme.example", ReturnTo: returnTo, Tracking: tracking,
		Columns: []string{"first_name", "last_name", "company", "street", "city", "country", "plan", "since", "orders", "points", "shop", "code"},
	}, keys)
	if err != nil {
		t.Fatal(err)
	}

	var all []Recipient
	for i, name := range []string{"Ada", "Jürgen", "Zoë", "Grace"} {
		a, err := address.Parse(fmt.Sprintf("reader%d@example.org", i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Recipient{
			Run: "news-20261001T070000Z", Index: i, Date: time.Unix(1_790_000_000, 0),
			Row: audience.Row{Address: a, Values: []string{name, "O'Brien", "Müller & Söhne", "High Street 17", "Kraków", "Poland", "Family", "2011", "42", "1207", "shop 7", "0A1B2C3D"}},
		})
	}

	return c, all
}

func BenchmarkCompose(b *testing.B) { benchmarkCompose(b, "", campaign.Tracking{}) }
func BenchmarkComposeReturnPath(b *testing.B) {
	benchmarkCompose(b, "bounce.acme.example", campaign.Tracking{})
}

func BenchmarkComposeFollowed(b *testing.B) {
	benchmarkCompose(b, "", campaign.Tracking{Opens: true, Clicks: true})
}

func benchmarkCompose(b *testing.B, returnTo string, tracking campaign.Tracking) {
	c, people := newsletter(b, returnTo, tracking)
	var d Draft
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := c.Compose(&d, people[i%len(people)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(d.Message)), "bytes")
}

// What is left is one allocation for the address, one for the other words of
// the header, and one for the subject. The race detector throws pooled values
// away, which may add some.
func TestComposeAllocations(t *testing.T) {
	testComposeAllocations(t, campaign.Tracking{}, 10)
}

// Where clicks are counted, the one link that is different for each reader comes on top.
func TestFollowedComposeAllocations(t *testing.T) {
	testComposeAllocations(t, campaign.Tracking{Opens: true, Clicks: true}, 20)
}

func testComposeAllocations(t *testing.T, tracking campaign.Tracking, most float64) {
	t.Helper()
	c, people := newsletter(t, "bounce.acme.example", tracking)
	var d Draft
	n := testing.AllocsPerRun(100, func() {
		for _, p := range people {
			if err := c.Compose(&d, p); err != nil {
				t.Fatal(err)
			}
		}
	}) / float64(len(people))
	if n > most {
		t.Errorf("%v allocations a message, want at most %v", n, most)
	}
}
