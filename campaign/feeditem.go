package campaign

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"broadside/internal/publicnet"
)

// A FeedItem is one item of a feed, as a letter shows it. All of it is text but Content.
type FeedItem struct {
	ID        string // what the item is known by
	Title     string
	Link      string // an absolute URL of http or https; empty: there is none
	Published string // the day by the clock of the campaign, such as 2026-10-01; empty: not known
	Summary   string
	Content   string // HTML without anything that could run, load a style or leave its place
}

const (
	// maxFeedURL is the most bytes of the address of a feed.
	maxFeedURL = 2000

	feedForm = "an address such as https://acme.example/rss.xml (http on this machine only)"
)

// readFeed reads the address of a feed. Where it may have a password in it, the problem
// does not show it.
func (c *Content) readFeed(text string) (problem string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxFeedURL || u.Hostname() == "" || u.Fragment != "" || strings.ContainsFunc(text, isBlankOrControl):
	case u.Scheme == "https", u.Scheme == "http" && publicnet.IsLoopback(u.Hostname()):
		c.Feed = text
		return ""
	}

	found := strconv.Quote(text)
	if len(text) > 200 || strings.ContainsAny(text, "@?") {
		found = "another value (not shown)"
	}
	return "found " + found + ", expected " + feedForm
}

func isBlankOrControl(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
