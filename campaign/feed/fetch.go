package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"broadside/internal/publicnet"
)

const (
	// maxFeed is the most bytes of a feed, unpacked.
	maxFeed = 5 << 20
	// fetchWithin is how long all of it may take.
	fetchWithin = 30 * time.Second

	accepted = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
)

// A passing error is trouble on the way to a feed, which may be over soon.
type passing struct{ text string }

func (e *passing) Error() string { return e.text }

// An answer is what came from the address of a feed.
type answer struct {
	from *url.URL // where it came from in the end
	kind string   // its content type, as it was said
	body []byte
}

// fetch gets what is at an address.
func fetch(ctx context.Context, from *url.URL, allowPrivate bool) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	guard := publicnet.Guard{Private: allowPrivate, Loopback: publicnet.IsLoopback(from.Hostname()), What: "this feed (content.allow_private)"}
	client := guard.Client(&http.Transport{DisableKeepAlives: true})
	defer client.CloseIdleConnections()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), http.NoBody)
	if err != nil {
		return answer{}, errors.New("the address cannot be read (not shown)")
	}
	req.Header.Set("User-Agent", "Broadside")
	req.Header.Set("Accept", accepted)
	res, err := client.Do(req)
	if err != nil {
		return answer{}, unanswered(err)
	}
	defer res.Body.Close()
	if err := checkStatus(res.StatusCode); err != nil {
		return answer{}, err
	}

	got := answer{from: res.Request.URL, kind: res.Header.Get("Content-Type")}
	got.body, err = io.ReadAll(io.LimitReader(res.Body, maxFeed+1))
	switch {
	case err != nil:
		return answer{}, &passing{fmt.Sprintf("the answer broke off after %d bytes: %v", len(got.body), withoutURL(err))}
	case len(got.body) > maxFeed:
		return answer{}, fmt.Errorf("found more than %d MiB, expected a feed of at most that size", maxFeed>>20)
	}
	return got, nil
}

// checkStatus returns an error for an answer that has no feed.
func checkStatus(code int) error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
	switch {
	case code == http.StatusOK:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return &passing{"the server answered " + status}
	}
	return fmt.Errorf("the server answered %s, expected 200: is the address right?", status)
}

// unanswered says why there is no answer.
func unanswered(err error) error {
	if private, ok := errors.AsType[*publicnet.PrivateError](err); ok {
		return private
	}
	if redirect, ok := errors.AsType[*publicnet.RedirectError](err); ok {
		return fmt.Errorf("found %w", redirect)
	}
	return &passing{fmt.Sprintf("the server cannot be reached: %v", withoutURL(err))}
}

// withoutURL takes the URL out of an error: there may be a password in it.
func withoutURL(err error) error {
	about, ok := errors.AsType[*url.Error](err)
	switch {
	case !ok:
		return err
	case about.Timeout():
		return fmt.Errorf("no answer within %s", fetchWithin)
	}
	return about.Err
}
