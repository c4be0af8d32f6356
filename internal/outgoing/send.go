package outgoing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"broadside/configs"
	"broadside/internal/publicnet"
	"broadside/internal/standardwebhooks"
)

const (
	// atOnce is how many requests a process has under way at one receiver.
	atOnce = 4
	// sendWithin is how long a request may take, with its answer.
	sendWithin = 15 * time.Second
	// maxAnswer is how much of the body of an answer is read, in bytes.
	maxAnswer = 4 << 10
	// maxAnswerHeader is the same for its header.
	maxAnswerHeader = 64 << 10
)

// An Answer is what a receiver answered.
type Answer struct {
	Status int
	Took   time.Duration
	Body   string // the beginning, in one line, without what cannot be printed

	header http.Header
}

// Delivered reports whether the receiver has taken the event.
func (a Answer) Delivered() bool { return a.Status >= 200 && a.Status <= 299 }

// Refusal says why the event was not taken; nil when it was.
func (a Answer) Refusal() error {
	switch {
	case a.Delivered():
		return nil
	case a.Status == http.StatusGone:
		return errors.New("answered 410 Gone: it wants no more of this event")
	case a.Status >= 300 && a.Status <= 399:
		return fmt.Errorf("answered %d: a redirect is not followed; write the address that it leads to in webhooks", a.Status)
	}
	return fmt.Errorf("answered %s, expected 2xx", strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))))
}

// A receiver is where events are sent. It is safe for concurrent use.
type receiver struct {
	configs.Webhook
	key    []byte
	client *http.Client
}

// newReceiver returns the receiver of a webhook that configs.Load has checked.
//
// Proxies of the environment are not used: the guard would see the address of the proxy
// and not that of the receiver.
func newReceiver(w configs.Webhook) (*receiver, error) {
	key, err := w.Key()
	if err != nil {
		return nil, fmt.Errorf("make the webhook %s: secret: %w", w, err)
	}

	g := publicnet.Guard{Private: w.AllowPrivate, Loopback: w.OnLoopback(), What: "this webhook"}
	dialer := &net.Dialer{Timeout: sendWithin, Control: g.Control}
	return &receiver{Webhook: w, key: key, client: &http.Client{
		Timeout:       sendWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			MaxConnsPerHost:        atOnce,
			MaxIdleConnsPerHost:    atOnce,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: maxAnswerHeader,
			DisableCompression:     true,
		},
	}}, nil
}

// close closes the connections that are not used.
func (r *receiver) close() { r.client.CloseIdleConnections() }

// post sends an event, signed at the given moment. The error is about the way there.
func (r *receiver) post(ctx context.Context, id string, body []byte, now time.Time) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("make the request: %w", withoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Broadside-Webhooks")
	standardwebhooks.Sign(req.Header, r.key, id, now, body)

	began := time.Now()
	res, err := r.client.Do(req)
	if err != nil {
		return Answer{}, withoutURL(err)
	}
	defer res.Body.Close()

	// What is behind is not read, and the connection is given up with it. An answer that
	// breaks off has said what counts.
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return Answer{Status: res.StatusCode, Took: time.Since(began), Body: oneLine(string(text)), header: res.Header}, nil
}

// withoutURL takes the URL out of an error: there may be a password in its query.
func withoutURL(err error) error {
	if about, ok := errors.AsType[*url.Error](err); ok {
		if about.Timeout() {
			return fmt.Errorf("no answer within %s: %w", sendWithin, about.Err)
		}
		return about.Err
	}
	return err
}

// maxShown is how much of an answer is shown, in bytes.
const maxShown = 200

func oneLine(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	text = strings.TrimSpace(text)
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return text
}
