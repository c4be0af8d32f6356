package feed

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"broadside/campaign"
)

const rssFeed = `<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Acme</title><link>https://acme.example/</link><description>News</description>
<item><title>Old &amp; good</title><link>/old</link><guid>1</guid><pubDate>Wed, 30 Sep 2026 21:30:00 GMT</pubDate>
 <description>&lt;p&gt;A &lt;b&gt;short&lt;/b&gt; text.&lt;/p&gt;&lt;p&gt;Second.&lt;/p&gt;</description></item>
<item><title>New</title><link>https://acme.example/new?a=1&amp;b=2</link><guid>2</guid><pubDate>Thu, 01 Oct 2026 09:00:00 GMT</pubDate>
 <description>In short.</description>
 <content:encoded><![CDATA[<p onclick="x()">In <a href="../more">full</a>.<img src="p.png" width="1"></p><script>bad()</script>]]></content:encoded></item>
<item><title>New again</title><guid>2</guid></item>
<item><description>Without a title or a time</description><link>https://acme.example/x</link></item>
</channel></rss>`

const atomFeed = `<feed xmlns="http://www.w3.org/2005/Atom"><title>Acme</title>
<entry><id>urn:1</id><title type="html">&lt;i&gt;Atom&lt;/i&gt;</title><link href="https://acme.example/atom"/><updated>2026-10-01T23:00:00Z</updated>
<summary>S</summary><content type="html">&lt;p&gt;C&lt;/p&gt;</content></entry></feed>`

const jsonFeed = `{"version":"https://jsonfeed.org/version/1.1","title":"Acme","items":[
{"id":"j1","url":"https://acme.example/j","title":"JSON","content_text":"1 < 2","date_published":"2026-10-01T09:00:00Z"}]}`

func from(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse("https://acme.example/news/feed.xml")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func zone(t testing.TB) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestItemsOfEachKindOfFeed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		feed string
		want []campaign.FeedItem
	}{
		"RSS": {rssFeed, []campaign.FeedItem{
			{
				Title: "New", Link: "https://acme.example/new?a=1&b=2", Published: "2026-10-01", Summary: "In short.",
				Content: `<p>In <a href="https://acme.example/more">full</a>.</p>`,
			},
			{
				Title: "Old & good", Link: "https://acme.example/old", Published: "2026-09-30", Summary: "A short text. Second.",
				Content: "<p>A <b>short</b> text.</p><p>Second.</p>",
			},
			{Title: "Without a title or a time", Link: "https://acme.example/x", Summary: "Without a title or a time", Content: "<p>Without a title or a time</p>"},
		}},
		"Atom": {atomFeed, []campaign.FeedItem{
			{Title: "Atom", Link: "https://acme.example/atom", Published: "2026-10-02", Summary: "S", Content: "<p>C</p>"},
		}},
		"JSON": {jsonFeed, []campaign.FeedItem{
			{Title: "JSON", Link: "https://acme.example/j", Published: "2026-10-01", Summary: "1 < 2", Content: "<p>1 &lt; 2</p>"},
		}},
		"no items": {`<rss version="2.0"><channel><title>Acme</title></channel></rss>`, nil},
	} {
		items, err := parse(answer{from: from(t), body: []byte(tt.feed)}, zone(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, items, cmpopts.IgnoreFields(campaign.FeedItem{}, "ID")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The guid counts, then the link, then title and time; the place in the feed and all other
// texts do not.
func TestAnItemIsKnownByItsGuid(t *testing.T) {
	t.Parallel()
	idOf := func(item string) string {
		t.Helper()
		items, err := parse(answer{from: from(t), body: []byte(`<rss version="2.0"><channel>` + item + `</channel></rss>`)}, time.UTC)
		if err != nil || len(items) == 0 {
			t.Fatalf("%s: %d items, %v", item, len(items), err)
		}
		return items[0].ID
	}

	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"<item><guid>1</guid><title>a</title><link>https://a.example/a</link></item>", "<item><guid> 1 </guid><title>b</title><link>https://a.example/b</link></item>", true},
		{"<item><guid>1</guid><link>https://a.example/a</link></item>", "<item><guid>2</guid><link>https://a.example/a</link></item>", false},
		{"<item><title>a</title><link>https://a.example/a</link></item>", "<item><title>b</title><link>https://a.example/a</link></item>", true},
		{"<item><guid>https://a.example/a</guid></item>", "<item><link>https://a.example/a</link></item>", false},
		{"<item><title>a</title></item>", "<item><title>a</title><description>d</description></item>", true},
		{"<item><title>a</title><pubDate>Thu, 01 Oct 2026 09:00:00 GMT</pubDate></item>", "<item><title>a</title></item>", false},
	} {
		if got := idOf(tt.a) == idOf(tt.b); got != tt.same {
			t.Errorf("%s and %s: the same is %v, want %v", tt.a, tt.b, got, tt.same)
		}
	}
}

func TestWhatIsNoFeed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, kind, body, want string }{
		{"a page", "text/html; charset=utf-8", "<!DOCTYPE html><html><body>Please log in", `found text/html that begins with "<!DOCTYPE html><html><body>Please log in", expected a feed (RSS, Atom or JSON feed)`},
		{"nothing", "", "", "found nothing, expected a feed"},
		{"JSON of another kind", "application/json", `[1, 2]`, `found application/json that begins with "[1, 2]"`},
		{"half a feed", "text/xml", rssFeed[:len(rssFeed)/2], "XML syntax error"},
		{"UTF-16", "text/xml", "<\x00r\x00s\x00s\x00", "NUL bytes"},
		{"a deep one", "text/xml", `<rss version="2.0"><channel><x:a xmlns:x="x">` + strings.Repeat("<x:a>", 100_000), "nested more than 100 deep"},
	} {
		_, err := parse(answer{from: from(t), kind: tt.kind, body: []byte(tt.body)}, time.UTC)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func TestAFeedHasAtMostSoManyItems(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`<rss version="2.0"><channel>`)
	for i := range maxItems + 10 {
		fmt.Fprintf(&b, "<item><guid>%d</guid><title>%d</title></item>", i, i)
	}
	b.WriteString("</channel></rss>")
	items, err := parse(answer{from: from(t), body: []byte(b.String())}, time.UTC)
	if err != nil || len(items) != maxItems || items[0].Title != "0" {
		t.Errorf("%d items, error %v; want the first %d", len(items), err, maxItems)
	}
}

func TestTextOfForeignWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"Tom &amp; Jerry", 100, "Tom & Jerry"},
		{"a < b", 100, "a < b"},
		{"one<br>two<p>three</p>four<b>five</b>", 100, "one two three fourfive"},
		{"<style>p{}</style>x<script>y</script>", 100, "x"},
		{"\u202Eevil\u202C\x07 line\nbreak", 100, "evil line break"},
		{"many words that are cut", 12, "many words…"},
		{"onewordalone", 5, "onew…"},
	} {
		if got := textOf(tt.text, tt.most); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestSafeHTML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ html, want string }{
		{`<p>x</p></td></tr></table></div>after`, `<p>x</p>after`},
		{`<b>open<p>x`, `<b>open<p>x</p></b>`},
		{`<a href="javascript:alert(1)">a</a><a href=" java
script:alert(1)">b</a>`, `<p>ab</p>`},
		{`<a href="//cdn.example/x" target="_blank" style="x">c</a>`, `<a href="https://cdn.example/x">c</a>`},
		{`<a href="mailto:a@b.example">d</a>`, `<a href="mailto:a@b.example">d</a>`},
		{`<img src="/p.png" alt="P" width="300" onerror="x()"><img src="data:image/png;base64,AA"><img src="https://t.example/o" height="1">`, `<img src="https://acme.example/p.png" alt="P"/>`},
		{`<p class="x" id="y" style="position:fixed">z</p><style>p{display:none}</style><iframe src="https://x.example"></iframe><form action="/"><input name="q"></form>`, `<p>z</p>`},
		{`<svg><script>alert(1)</script></svg><math><mi//xlink:href="data:x,<script>">`, ``},
		{`{{.email}} {{range .feed.items}}`, `<p>{{.email}} {{range .feed.items}}</p>`},
		{`  `, ``},
		{strings.Repeat("<p>x", maxContent), ``},
		{strings.Repeat("<div>", 2000) + "x", ``},
	} {
		if got := safeHTML(tt.html, from(t)); got != tt.want {
			t.Errorf("%.80q: got %.200q, want %q", tt.html, got, tt.want)
		}
	}
}

// FuzzParse: whatever comes, there is an error, or items that are harmless.
func FuzzParse(f *testing.F) {
	for _, text := range []string{rssFeed, atomFeed, jsonFeed, "", "<rss>", `<rss version="2.0"><channel><item><description>&lt;table&gt;&lt;tr&gt;&lt;/table&gt;&lt;a href="//x"&gt;`} {
		f.Add([]byte(text))
	}
	base := from(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := parse(answer{from: base, body: body}, time.UTC)
		if err != nil {
			return
		}
		known := map[string]bool{}
		for _, item := range items {
			if item.ID == "" || known[item.ID] {
				t.Fatalf("id %q is blank, or there twice", item.ID)
			}
			known[item.ID] = true
			for _, text := range []string{item.Title, item.Summary, item.Link, item.Published} {
				if strings.ContainsFunc(text, unicode.IsControl) {
					t.Fatalf("control characters in %q", text)
				}
			}
			if item.Link != "" && !strings.HasPrefix(item.Link, "http://") && !strings.HasPrefix(item.Link, "https://") {
				t.Fatalf("link %q", item.Link)
			}
			checkSafe(t, item.Content)
		}
	})
}

// FuzzSafeHTML: what is left of any HTML is whole, and stays as it is when it is cleaned
// once more.
func FuzzSafeHTML(f *testing.F) {
	for _, text := range []string{
		"<p>x</td>", "<b><p></b>", "<a href='javascript:x'>", "<svg><style><img src=x onerror=y>", "<table><tr><td><table></td>", "<!--[if mso]>x<![endif]-->", "&lt;script&gt;", "<pre>\n\nx", "<math><mtext><table><mglyph><style>",
	} {
		f.Add(text)
	}
	base := from(f)
	f.Fuzz(func(t *testing.T, text string) { checkSafe(t, safeHTML(text, base)) })
}

func checkSafe(t *testing.T, html string) {
	t.Helper()
	if html == "" {
		return
	}
	if again := policy().Sanitize(html); again != html && render(fragment(again)) != html {
		t.Fatalf("cleaned once more %q becomes %q", html, again)
	}
	if whole := render(fragment(html)); whole != html {
		t.Fatalf("%q is read as %q", html, whole)
	}
}
