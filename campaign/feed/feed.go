// Package feed reads the feeds that campaigns send as digests (RSS, Atom, JSON feed), and
// remembers which of their items were sent.
//
// It promises that whatever a feed says is harmless in a letter: titles, links and
// summaries are plain text, and content is HTML that can neither run, nor load a style, nor
// break out of its place. A feed is fetched from the public Internet alone unless the
// campaign says otherwise, within limits of size and time, and anything but a feed is an error.
//
// An item counts as sent when a run that has it became ready. Its id is in the content of
// that run, so that nothing has to be written at the same moment in two places: [Sent] only
// keeps the ids beyond the life of their run.
package feed

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

// ErrNothingNew is returned in place of a run of a feed whose items were all sent.
var ErrNothingNew = errors.New("the feed has no new items since the last run")

// An Error says why a feed could not be read. It is also a strictyaml.Problems, or of the
// kind failure.ErrUnreachable when it is trouble on the way that may pass.
type Error struct{ err error }

// Error returns one line.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns what it also is.
func (e *Error) Unwrap() error { return e.err }

// key is where a campaign file names its feed.
const key = "content.feed"

// Read fetches the feed of a campaign and returns its items, the newest first. Their days
// are by the clock of zone.
func Read(ctx context.Context, def *campaign.Definition, zone *time.Location) ([]campaign.FeedItem, error) {
	items, err := read(ctx, def.Content, zone)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == nil {
		return items, nil
	}

	text := strings.TrimSpace(err.Error())
	if _, ok := errors.AsType[*passing](err); ok {
		return nil, &Error{failure.New(failure.ErrUnreachable, fmt.Sprintf("%s: %s: %s", def.File, key, text), nil)}
	}
	return nil, &Error{strictyaml.Problems{def.Problem(key, "%s", text)}}
}

func read(ctx context.Context, c campaign.Content, zone *time.Location) ([]campaign.FeedItem, error) {
	from, err := url.Parse(c.Feed)
	if err != nil {
		return nil, errors.New("the address cannot be read (not shown)")
	}
	got, err := fetch(ctx, from, c.AllowPrivate)
	if err != nil {
		return nil, err
	}
	return parse(got, zone)
}

// Sample returns a made-up item, to check a letter with.
func Sample() []campaign.FeedItem {
	return []campaign.FeedItem{{
		ID: "sample", Title: "The title of an item", Link: "https://feed.invalid/item", Published: "2026-10-01",
		Summary: "The summary of an item.", Content: "<p>The content of an item.</p>",
	}}
}
