package feed

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mmcdole/gofeed"

	"broadside/campaign"
)

const (
	// maxItems is how many items of a feed are looked at, the newest ones.
	maxItems = 1000
	// maxDepth is how deep the elements of a feed may be nested: what reads them calls
	// itself.
	maxDepth = 100

	maxTitle   = 300 // characters
	maxSummary = 500 // characters
	maxLink    = 2000
)

// parse returns the items of a feed, the newest first, each once.
func parse(a answer, zone *time.Location) ([]campaign.FeedItem, error) {
	read, err := readFeed(a.body)
	if err != nil {
		text := fmt.Sprintf("found %s, expected a feed (RSS, Atom or JSON feed)", a.found())
		if !errors.Is(err, gofeed.ErrFeedTypeNotDetected) {
			text += ": " + plain(err.Error(), 200)
		}
		return nil, errors.New(text)
	}

	known := map[string]bool{}
	var items []campaign.FeedItem
	for _, it := range newestFirst(read.Items) {
		id := idOf(it)
		if known[id] {
			continue
		}
		known[id] = true
		items = append(items, itemOf(it, id, a.from, zone))
		if len(items) == maxItems {
			break
		}
	}
	return items, nil
}

// readFeed is the library; a panic in it is an error.
func readFeed(body []byte) (read *gofeed.Feed, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it cannot be read")
		}
	}()
	if bytes.IndexByte(body, 0) >= 0 {
		return nil, errors.New("it has NUL bytes, save it as UTF-8")
	}
	if err := tooDeep(body); err != nil {
		return nil, err
	}

	read, err = gofeed.NewParser().Parse(bytes.NewReader(body))
	if err == nil && read == nil {
		err = errors.New("it is empty")
	}
	return read, err
}

// tooDeep refuses XML that is nested too deeply. What is no XML has no depth.
func tooDeep(body []byte) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = false
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	depth := 0
	for {
		token, err := d.RawToken()
		if err != nil {
			return nil // the reader of the feed says what is wrong
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
		if depth > maxDepth {
			return fmt.Errorf("its elements are nested more than %d deep", maxDepth)
		}
	}
}

// found describes what came in place of a feed.
func (a answer) found() string {
	text := plain(string(a.body[:min(len(a.body), 1000)]), 60)
	kind, _, _ := strings.Cut(plain(a.kind, 60), ";")
	switch {
	case text == "":
		return "nothing"
	case kind == "":
		return fmt.Sprintf("a text that begins with %q", text)
	}
	return fmt.Sprintf("%s that begins with %q", kind, text)
}

// newestFirst sorts items by their time. Those without one come last, in the order of the
// feed.
func newestFirst(items []*gofeed.Item) []*gofeed.Item {
	items = slices.DeleteFunc(slices.Clone(items), func(it *gofeed.Item) bool { return it == nil })
	slices.SortStableFunc(items, func(a, b *gofeed.Item) int { return timeOf(b).Compare(timeOf(a)) })
	return items
}

// timeOf returns when an item was published, or else changed; the zero time when it does not
// say so.
func timeOf(it *gofeed.Item) time.Time {
	if t := cmp.Or(it.PublishedParsed, it.UpdatedParsed); t != nil {
		return *t
	}
	return time.Time{}
}

// idOf returns what an item is known by: its guid, or else its link, or else its title and
// time.
func idOf(it *gofeed.Item) string {
	guid := strings.TrimSpace(it.GUID)
	link := strings.TrimSpace(it.Link)
	text := "text:" + it.Title + "\n" + it.Published
	switch {
	case guid != "":
		text = "guid:" + guid
	case link != "":
		text = "link:" + link
	}
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// itemOf turns an item into what a letter shows. Links are relative to that of the item, or
// else to where the feed came from.
func itemOf(it *gofeed.Item, id string, from *url.URL, zone *time.Location) campaign.FeedItem {
	item := campaign.FeedItem{ID: id, Title: textOf(it.Title, maxTitle), Link: absolute(it.Link, from)}
	base := from
	if u, err := url.Parse(item.Link); err == nil && item.Link != "" {
		base = u
	}
	if at := timeOf(it); !at.IsZero() {
		item.Published = at.In(zone).Format(time.DateOnly)
	}

	item.Summary = textOf(cmp.Or(strings.TrimSpace(it.Description), it.Content), maxSummary)
	item.Content = safeHTML(cmp.Or(strings.TrimSpace(it.Content), it.Description), base)
	if item.Content == "" && item.Summary != "" {
		item.Content = paragraph(item.Summary)
	}
	if item.Title == "" {
		item.Title = cut(item.Summary, 80)
	}
	return item
}

// absolute returns an absolute URL of http or https; "" when there is none.
func absolute(link string, base *url.URL) string {
	u, err := base.Parse(strings.TrimSpace(link))
	if strings.TrimSpace(link) == "" || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	u.User = nil
	text := u.String()
	if len(text) > maxLink {
		return ""
	}
	return text
}
