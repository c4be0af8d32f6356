package hooks

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/outage"
)

// A Recorder stores notices. It returns nil only when all of them are stored.
type Recorder interface {
	Record(ctx context.Context, notices []campaign.Notice) error
}

// Config is what a Handler needs.
type Config struct {
	Hooks    configs.Hooks // which providers are taken, as configs.Load has checked them
	Recorder Recorder
	Log      *slog.Logger

	// How certificates of SNS are got and verified; nil: over the network, and by
	// the authorities that the system trusts.
	Transport http.RoundTripper
	Roots     *x509.CertPool
}

// Limits of a request.
const (
	maxBody    = 2 << 20 // bytes
	maxEvents  = 10_000
	maxAtOnce  = 64              // requests that are being read
	waitWithin = 2 * time.Second // for one of these places
	workWithin = 8 * time.Second // to verify and to store, after the body was read
	retryAfter = "30"            // seconds
)

// What a decoder finds wrong with a request. Every other error means that it should
// come again.
var (
	errUnsigned   = errors.New("not shown to come from its provider")
	errUnreadable = errors.New("unreadable")
	errTooLarge   = errors.New("too large")
)

// A decoder verifies requests of one provider and reads them. body is all of it, as it
// came. Notices have no Source yet, and their IDs no name of the provider.
type decoder interface {
	decode(r *http.Request, body []byte, now time.Time) ([]campaign.Notice, error)
}

// A hook is one provider whose requests are taken.
type hook struct {
	decoder
	refused *outage.Notice // while requests are refused
	away    *outage.Notice // while good ones cannot be verified or stored
}

// A Handler answers the requests. It is safe for concurrent use.
type Handler struct {
	hooks    map[string]*hook
	recorder *gatherer
	places   chan struct{} // one for each request that is being read
}

// New returns the handler of the providers that are configured.
func New(cfg Config) (*Handler, error) {
	h := &Handler{
		hooks:    map[string]*hook{},
		recorder: newGatherer(cfg.Recorder),
		places:   make(chan struct{}, maxAtOnce),
	}

	add := func(name string, d decoder) {
		h.hooks[name] = &hook{
			decoder: d,
			refused: outage.NewNotice(cfg.Log, "webhook refused", "webhook taken again"),
			away:    outage.NewNotice(cfg.Log, "webhook cannot be stored, its provider is asked to send it again", "webhook stored again"),
		}
	}
	if c := cfg.Hooks.SES; c != nil {
		add("ses", newSES(c.TopicArns, cfg))
	}
	if c := cfg.Hooks.Sendgrid; c != nil {
		key, err := c.Key()
		if err != nil {
			return nil, fmt.Errorf("make the webhook of sendgrid: public key: %w", err)
		}
		add("sendgrid", sendgrid{key})
	}
	if c := cfg.Hooks.Mailgun; c != nil {
		add("mailgun", mailgun{[]byte(c.SigningKey.Reveal())})
	}
	if c := cfg.Hooks.Postmark; c != nil {
		add("postmark", newPostmark(c.Username, c.Password.Reveal()))
	}
	if c := cfg.Hooks.Generic; c != nil {
		key, err := c.Key()
		if err != nil {
			return nil, fmt.Errorf("make the generic webhook: secret: %w", err)
		}
		add("generic", generic{key})
	}
	return h, nil
}

// ServeHTTP answers a request for the hook that the path value "name" names.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	hook, ok := h.hooks[name]
	if !ok {
		answer(w, http.StatusNotFound, "not found")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}

	h.finish(w, hook, name, h.take(w, r, hook, name))
}

// take reads a request and stores what it says.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, hook *hook, name string) error {
	if !h.enter(r.Context()) {
		return errBusy
	}
	leave := sync.OnceFunc(func() { <-h.places })
	defer leave()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return errTooLarge
	}
	if err != nil {
		return fmt.Errorf("%w: read the body: %w", errUnreadable, err)
	}

	ctx, cancel := context.WithTimeout(r.Context(), workWithin)
	defer cancel()
	notices, err := hook.decode(r.WithContext(ctx), body, time.Now())
	if err != nil || len(notices) == 0 {
		return err
	}

	complete(notices, name)
	leave() // where Redis waits for its disk, many wait at once
	return h.recorder.Record(ctx, notices)
}

// enter waits for a place among the requests that are being read.
func (h *Handler) enter(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, waitWithin)
	defer cancel()
	select {
	case h.places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
