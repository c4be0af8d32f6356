package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Limits of what is got from SNS.
const (
	getWithin = 5 * time.Second
	maxAnswer = 64 << 10 // bytes
)

// A getter gets what is at an address.
type getter func(ctx context.Context, address string) ([]byte, error)

// newGetter returns a getter that follows no redirect and takes only 200. A nil
// transport is one without connections that stay open: it is seldom used.
func newGetter(transport http.RoundTripper) getter {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableKeepAlives = true
		transport = t
	}
	client := &http.Client{
		Transport:     transport,
		Timeout:       getWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}

	return func(ctx context.Context, address string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return nil, err
		}
		res, err := client.Do(req)
		if about, ok := errors.AsType[*url.Error](err); ok {
			err = fmt.Errorf("ask %s: %w", req.URL.Host, about.Err) // without the path and its token
		}
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()

		data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("read the answer of %s: %w", req.URL.Host, err)
		case res.StatusCode != http.StatusOK:
			return nil, fmt.Errorf("found status %d at %s, expected 200", res.StatusCode, req.URL.Host)
		case len(data) > maxAnswer:
			return nil, fmt.Errorf("found more than %d bytes at %s", maxAnswer, req.URL.Host)
		}
		return data, nil
	}
}
