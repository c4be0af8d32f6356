package web

import (
	"bytes"
	"cmp"
	"context"
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
	"broadside/internal/web/theme"
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
	if text == s.cfg.Theme.StyleName {
		s.style(w)
		return
	}

	u, err := s.open(text)
	if err != nil {
		v := s.visitOf(browserLanguage(r), u)
		s.show(w, r, http.StatusNotFound, v.page(v.texts.brokenTitle, v.texts.brokenText, ""))
		return
	}

	switch {
	case u.Test:
		v := s.visitOf(s.language(r, u.Run), u)
		s.show(w, r, http.StatusOK, v.page(v.texts.testTitle, v.texts.testText, v.linked()))
	case r.Method != http.MethodPost:
		v := s.visitOf(s.language(r, u.Run), u)
		s.show(w, r, http.StatusOK, v.look(s.seen(r.Context(), u)))
	default:
		s.post(w, r, u)
	}
}

// post does what the body of a POST says.
func (s *Server) post(w http.ResponseWriter, r *http.Request, u token.Unsubscribe) {
	want, err := s.readWish(w, r, u)
	if err == nil && want.source == sourceOneClick {
		s.oneClick(w, r, u)
		return
	}

	v := s.visitOf(s.language(r, u.Run), u)
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		s.show(w, r, http.StatusRequestEntityTooLarge, v.ask())
	case err != nil:
		s.show(w, r, http.StatusBadRequest, v.ask())
	case want.undo:
		left, err := s.undo(r.Context(), u, want.topic)
		if err != nil {
			s.log.WarnContext(r.Context(), "unsubscribe not undone, the reader is asked to try again", "run", u.Run, "err", err)
			s.tryAgain(w, r, v, want)
			return
		}
		s.show(w, r, http.StatusOK, v.undone(want.topic, left))
	default:
		if s.leave(r.Context(), u, want) != nil {
			s.tryAgain(w, r, v, want)
			return
		}
		s.show(w, r, http.StatusOK, v.left(want.topic, s.seen(r.Context(), u)))
	}
}

// oneClick unsubscribes from the topic of the link. Mail programs do not show the answer,
// so that nothing is looked up for it.
func (s *Server) oneClick(w http.ResponseWriter, r *http.Request, u token.Unsubscribe) {
	v := s.visitOf(browserLanguage(r), u)
	want := wish{source: sourceOneClick, topic: v.linked()}
	if s.leave(r.Context(), u, want) != nil {
		s.tryAgain(w, r, v, want)
		return
	}
	s.show(w, r, http.StatusOK, v.left(want.topic, nil))
}

// leave has a topic left, or everything.
func (s *Server) leave(ctx context.Context, u token.Unsubscribe, want wish) error {
	e := campaign.Event{
		Recipient: u.Address, Run: u.Run, Kind: campaign.EventUnsubscribed, Topic: want.topic, Source: want.source,
	}
	if want.topic == everything {
		e.Topic = ""
	}
	err := s.cfg.Feedback.Apply(ctx, e)
	s.outage.Note(err, "run", u.Run, "source", want.source)
	return err
}

// tryAgain answers while the store is away.
func (s *Server) tryAgain(w http.ResponseWriter, r *http.Request, v visit, want wish) {
	w.Header().Set("Retry-After", retryAfter)
	s.show(w, r, http.StatusServiceUnavailable, v.tryAgain(want))
}

// A wish is what a POST asks for.
type wish struct {
	source string // sourceOneClick or sourcePage
	undo   bool   // take back that the topic was left
	topic  string // or everything
}

// Fields of the forms of pages, each with a topic, or everything, as its value. The last
// one is for pages of earlier versions: it means the topic of the link.
const (
	fieldLeave   = "leave"
	fieldUndo    = "undo"
	fieldConfirm = "confirm"
)

// readWish reads what a POST asks for: a mail program sends
// List-Unsubscribe=One-Click as multipart/form-data or urlencoded (RFC 8058
// section 3.1), our page its own fields. The query of the URL does not count,
// and a body without any of them is refused: it may not be meant.
func (s *Server) readWish(w http.ResponseWriter, r *http.Request, u token.Unsubscribe) (wish, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return wish{}, fmt.Errorf("read body: %w", err)
	}

	values, err := parseForm(body, r.Header.Get("Content-Type"))
	if err != nil {
		return wish{}, fmt.Errorf("parse form: %w", err)
	}

	linked := linkedTopic(u)
	topic := cmp.Or(values.Get(fieldLeave), values.Get(fieldUndo))
	_, known := s.cfg.Topics[topic]
	known = known || topic == linked || topic == everything
	switch {
	case strings.EqualFold(values.Get("List-Unsubscribe"), "One-Click"):
		return wish{source: sourceOneClick, topic: linked}, nil
	case values.Get(fieldConfirm) != "":
		return wish{source: sourcePage, topic: linked}, nil
	case known:
		return wish{source: sourcePage, topic: topic, undo: values.Get(fieldLeave) == ""}, nil
	}

	return wish{}, errors.New("body has neither List-Unsubscribe=One-Click nor a known topic to leave")
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

// show answers with a page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, p theme.Page) {
	var out bytes.Buffer
	if err := s.cfg.Theme.Render(&out, p); err != nil {
		s.log.ErrorContext(r.Context(), "page not shown", "err", err)
		plain(w, http.StatusInternalServerError, "something went wrong")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // an error means that the client is gone
}

// style answers with the stylesheet, whose name changes with its text.
func (s *Server) style(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(s.cfg.Theme.Style) // an error means that the client is gone
}

// masked shows enough of an address for its owner to know it: a link may be
// forwarded, and its page photographed. It is empty for what is no address.
func masked(address string) string {
	i := strings.LastIndex(address, "@")
	if i < 1 {
		return ""
	}
	_, size := utf8.DecodeRuneInString(address)
	return address[:size] + "***" + address[i:]
}
