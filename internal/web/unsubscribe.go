package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"broadside/campaign"
	"broadside/campaign/token"
)

// Sources of events that come from links.
const (
	sourceOneClick = "one-click" // the mail program's own button (RFC 8058)
	sourcePage     = "page"      // the button of our page
)

const (
	maxBody    = 4 << 10 // bytes of a POST
	retryAfter = "30"    // seconds
)

// open opens a token. Dashes and underscores may belong to it, or to the text in which
// the link was copied.
func (s *Server) open(text string) (token.Unsubscribe, error) {
	u, err := s.cfg.Keys.Open(text)
	if bare := strings.Trim(text, "-_"); err != nil && bare != text {
		return s.cfg.Keys.Open(bare)
	}
	return u, err
}

// unsubscribe answers a link. The answer to a token that does not open is
// the same whatever is wrong with it and however it is asked for.
func (s *Server) unsubscribe(w http.ResponseWriter, r *http.Request, text string) {
	if !allow(w, r, http.MethodGet, http.MethodHead, http.MethodPost) {
		return
	}

	u, err := s.open(text)
	if err != nil {
		s.show(w, r, http.StatusNotFound, content{
			Title: "This link does not work",
			Text:  "It may have been cut or changed on its way. Please copy the whole link from the message, or reply to the message and ask to be taken off the list.",
		})
		return
	}

	name := s.topicName(u.Topic)
	ask := content{
		Title:  "Unsubscribe from " + name + "?",
		Text:   "We will send nothing more of it to " + masked(u.Address) + ".",
		Button: "Unsubscribe",
	}
	switch {
	case u.Test:
		s.show(w, r, http.StatusOK, content{
			Title: "This is a test link",
			Text:  "It belongs to a test message and unsubscribes nobody. In a real message, readers can unsubscribe from " + name + " here.",
		})
	case r.Method != http.MethodPost:
		s.show(w, r, http.StatusOK, ask)
	default:
		s.post(w, r, u, ask)
	}
}

// post unsubscribes, if the body says that the POST is meant.
func (s *Server) post(w http.ResponseWriter, r *http.Request, u token.Unsubscribe, ask content) {
	source, err := readSource(w, r)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		s.show(w, r, http.StatusRequestEntityTooLarge, ask)
		return
	}

	if err != nil {
		s.show(w, r, http.StatusBadRequest, ask)
		return
	}

	err = s.cfg.Feedback.Apply(r.Context(), campaign.Event{
		Recipient: u.Address, Run: u.Run, Kind: campaign.EventUnsubscribed, Topic: u.Topic, Source: source,
	})
	s.outage.Note(err, "run", u.Run, "source", source)
	if err != nil {
		w.Header().Set("Retry-After", retryAfter)
		s.show(w, r, http.StatusServiceUnavailable, content{
			Title:  "Please try again in a minute",
			Text:   "We could not note it just now. You are still subscribed.",
			Button: "Try again",
		})
		return
	}

	s.show(w, r, http.StatusOK, content{
		Title: "You are unsubscribed",
		Text:  "We will send nothing more of " + s.topicName(u.Topic) + " to " + masked(u.Address) + ". You can close this page.",
	})
}

// readSource reads where a POST comes from: a mail program sends
// List-Unsubscribe=One-Click as multipart/form-data or urlencoded (RFC 8058
// section 3.1), our page its own field. The query of the URL does not count,
// and a body without either is refused: it may not be meant.
func readSource(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return "", fmt.Errorf("read body: %w", err)
	}

	values, err := parseForm(body, r.Header.Get("Content-Type"))
	if err != nil {
		return "", fmt.Errorf("parse form: %w", err)
	}

	switch {
	case strings.EqualFold(values.Get("List-Unsubscribe"), "One-Click"):
		return sourceOneClick, nil
	case values.Get("confirm") != "":
		return sourcePage, nil
	}

	return "", errors.New("body says neither List-Unsubscribe=One-Click nor confirm")
}

// parseForm reads a form. What is not multipart is taken for urlencoded,
// whatever it calls itself: a wrong label must not cost an unsubscribe.
func parseForm(body []byte, contentType string) (url.Values, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return url.ParseQuery(strings.TrimSpace(string(body)))
	}
	form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(maxBody)
	if err != nil {
		return nil, err
	}
	return form.Value, form.RemoveAll()
}

func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, c content) {
	if err := s.page.write(w, status, c); err != nil {
		s.log.ErrorContext(r.Context(), "page not shown", "err", err)
		plain(w, http.StatusInternalServerError, "something went wrong")
	}
}

func (s *Server) topicName(topic string) string {
	if name := s.cfg.Topics[topic]; name != "" {
		return name
	}
	if topic == "" {
		return "our messages"
	}
	return topic
}

// masked shows enough of an address for its owner to know it: a link may be
// forwarded, and its page photographed.
func masked(address string) string {
	i := strings.LastIndex(address, "@")
	if i < 1 {
		return "you"
	}
	_, size := utf8.DecodeRuneInString(address)
	return address[:size] + "***" + address[i:]
}
