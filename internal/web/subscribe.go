package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/subscribe"
	"broadside/internal/web/theme"
)

// Names of what comes in with a form; all others are fields of the form.
const (
	fieldEmail    = "email"
	fieldTrap     = "website" // no person sees it
	fieldLanguage = "language"
)

// subscribe answers the form on which people subscribe, and the links that confirm it.
// rest is what comes behind the path of both.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request, rest string) {
	if s.cfg.Subscribe == nil {
		plain(w, http.StatusNotFound, "not found")
		return
	}
	if text, ok := strings.CutPrefix(rest, "confirm/"); ok {
		s.confirm(w, r, token.Cut(text))
		return
	}

	form, ok := s.cfg.Subscribe.Form(strings.TrimSuffix(rest, "/"), browserLanguage(r))
	if !ok {
		plain(w, http.StatusNotFound, "not found")
		return
	}
	if !allow(w, r, http.MethodGet, http.MethodHead, http.MethodPost) {
		return
	}
	if r.Method != http.MethodPost {
		s.showForm(w, r, http.StatusOK, form, ask{}, nil)
		return
	}
	s.ask(w, r, form)
}

// An ask is what somebody has filled in.
type ask struct {
	email    string
	fields   map[string]string
	trap     string
	language string // of the page that was filled in; empty: not said
}

// ask takes what was filled in. The answer does not depend on the address, if it can be
// one.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, form subscribe.Form) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var filled ask
	if err == nil {
		filled, err = readAsk(body, r.Header.Get("Content-Type"), form.Fields)
	}
	if slices.Contains(configs.Languages, filled.language) {
		form, _ = s.cfg.Subscribe.Form(form.Name, filled.language)
	}
	if err == nil && filled.trap == "" {
		source := subscribe.SourcePage
		if isJSON(r) {
			source = subscribe.SourceAPI
		}
		err = s.cfg.Subscribe.Ask(r.Context(), subscribe.Request{
			Form: form.Name, Address: filled.email, Fields: filled.fields, Language: form.Language, Source: source, Client: clientOf(r),
		})
	}
	s.answerAsk(w, r, form, filled, err)
}

// answerAsk answers what was filled in; err is how it went.
func (s *Server) answerAsk(w http.ResponseWriter, r *http.Request, form subscribe.Form, filled ask, err error) {
	words := subscribeTextsOf[form.Language]
	input, isInput := errors.AsType[*subscribe.InputError](err)
	limit, isLimit := errors.AsType[*subscribe.LimitError](err)
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case err == nil:
		if wantsJSON(r) {
			answerJSON(w, http.StatusAccepted, map[string]string{"message": fill(words.sentText, form.Topic, "")})
		} else {
			s.show(w, r, http.StatusOK, s.subscribePage(form, words.sentTitle, words.sentText, ""))
		}
	case tooLarge:
		s.refuseAsk(w, r, http.StatusRequestEntityTooLarge, form, ask{}, nil, words.unreadable)
	case isInput:
		text := words.badField
		if input.Field == fieldEmail {
			text = words.badAddress
		}
		s.refuseAsk(w, r, http.StatusUnprocessableEntity, form, filled, input, text)
	case isLimit:
		w.Header().Set("Retry-After", strconv.Itoa(int(limit.Wait/time.Second)+1))
		s.refuseAsk(w, r, http.StatusTooManyRequests, form, filled, nil, words.tooMany)
	case errors.Is(err, errUnreadable):
		s.refuseAsk(w, r, http.StatusBadRequest, form, ask{}, nil, words.unreadable)
	default:
		s.asks.Note(err, "form", form.Name)
		w.Header().Set("Retry-After", retryAfter)
		s.refuseAsk(w, r, http.StatusServiceUnavailable, form, filled, nil, words.notNow)
		return
	}
	s.asks.Note(nil)
}

// refuseAsk answers what cannot be taken, with the form to try again.
func (s *Server) refuseAsk(w http.ResponseWriter, r *http.Request, status int, form subscribe.Form, filled ask, input *subscribe.InputError, text string) {
	if wantsJSON(r) {
		problem := map[string]string{"error": text}
		if input != nil {
			problem = map[string]string{"error": input.Text, "field": input.Field}
		}
		answerJSON(w, status, problem)
		return
	}
	s.showForm(w, r, status, form, filled, &wrong{text, input})
}

// wrong is what a form is shown again with.
type wrong struct {
	text  string
	input *subscribe.InputError // nil: it is about no field
}

// showForm answers with the form.
func (s *Server) showForm(w http.ResponseWriter, r *http.Request, status int, form subscribe.Form, filled ask, problem *wrong) {
	page := theme.Form{
		Language: form.Language, Style: s.stylePath(), Title: form.Words.Title, Text: form.Words.Text, Button: form.Words.Button,
		Trap:   fieldTrap,
		Hidden: []theme.Hidden{{Name: fieldLanguage, Value: form.Language}},
		Inputs: []theme.Input{{Name: fieldEmail, Label: form.Words.Email, Type: "email", Value: filled.email, Autocomplete: "email", Required: true}},
	}
	for _, name := range form.Fields {
		page.Inputs = append(page.Inputs, theme.Input{
			Name: name, Label: form.Words.Label(name), Type: "text", Value: filled.fields[name], Autocomplete: autocomplete[name],
		})
	}
	if problem != nil {
		page.Problem = problem.text
		for i := range page.Inputs {
			page.Inputs[i].Wrong = problem.input != nil && problem.input.Field == page.Inputs[i].Name
		}
	}

	var out bytes.Buffer
	if err := s.cfg.Theme.RenderForm(&out, page); err != nil {
		s.log.ErrorContext(r.Context(), "form not shown", "err", err)
		plain(w, http.StatusInternalServerError, "something went wrong")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // an error means that the client is gone
}

// autocomplete is what browsers know fields as (WCAG 1.3.5).
var autocomplete = map[string]string{"first_name": "given-name", "last_name": "family-name", "name": "name", "company": "organization"}

// errUnreadable says that a body is neither a form nor JSON as it is expected.
var errUnreadable = errors.New("unreadable")

// readAsk reads the body of a request: a form as browsers send it, of which other values
// are left out, or a JSON object of texts, in which nothing else may be.
func readAsk(body []byte, contentType string, fields []string) (ask, error) {
	values := map[string]string{}
	if isJSONType(contentType) {
		if err := json.Unmarshal(body, &values); err != nil || values == nil {
			return ask{}, fmt.Errorf("%w: expected a JSON object whose values are texts", errUnreadable)
		}
	} else {
		form, err := parseForm(body, contentType)
		if err != nil {
			return ask{}, fmt.Errorf("%w: %w", errUnreadable, err)
		}
		for _, name := range append([]string{fieldEmail, fieldTrap, fieldLanguage}, fields...) {
			values[name] = form.Get(name)
		}
	}

	filled := ask{email: values[fieldEmail], trap: values[fieldTrap], language: values[fieldLanguage], fields: map[string]string{}}
	for name, value := range values {
		switch name {
		case fieldEmail, fieldTrap, fieldLanguage:
		default: // one that the form does not have is refused by Ask
			filled.fields[name] = value
		}
	}
	return filled, nil
}

// isJSON reports whether a request brings JSON.
func isJSON(r *http.Request) bool { return isJSONType(r.Header.Get("Content-Type")) }

func isJSONType(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// wantsJSON reports whether a request is to be answered with JSON: it brings some, or
// asks for it and not for a page.
func wantsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return isJSON(r) || strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

func answerJSON(w http.ResponseWriter, status int, values map[string]string) {
	text, err := json.Marshal(values)
	if err != nil {
		plain(w, http.StatusInternalServerError, "something went wrong")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // an error means that the client is gone
}

// confirm answers a link that confirms a subscription.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request, text string) {
	if !allow(w, r, http.MethodGet, http.MethodHead, http.MethodPost) {
		return
	}
	pending, err := s.cfg.Subscribe.Look(text)
	if bare := strings.Trim(text, "-_"); errors.Is(err, token.ErrToken) && bare != text {
		text = bare // dashes of the text in which the link was copied
		pending, err = s.cfg.Subscribe.Look(text)
	}
	form := pending.Form
	words := subscribeTextsOf[cmp.Or(form.Language, browserLanguage(r))]
	switch {
	case errors.Is(err, subscribe.ErrExpired):
		s.show(w, r, http.StatusGone, s.subscribePage(form, words.oldTitle, words.oldText, ""))
		return
	case err != nil:
		form.Language = browserLanguage(r)
		s.show(w, r, http.StatusNotFound, s.subscribePage(form, words.brokenTitle, words.brokenText, ""))
		return
	}

	s.allowRedirect(w.Header(), form.Redirect)
	page := s.subscribePage(form, words.askTitle, words.askText, pending.Address)
	page.Button = &theme.Button{Name: fieldConfirm, Value: "yes", Text: words.confirm}
	if r.Method != http.MethodPost {
		s.show(w, r, http.StatusOK, page)
		return
	}
	if err := s.isConfirmed(w, r); err != nil {
		s.show(w, r, http.StatusBadRequest, page)
		return
	}

	done, err := s.cfg.Subscribe.Confirm(r.Context(), text)
	s.asks.Note(err, "form", form.Name)
	switch {
	case err != nil:
		retry := textsOf[form.Language]
		page.Title = retry.retryTitle
		page.Text = retry.retryText
		page.Button.Text = retry.retry
		w.Header().Set("Retry-After", retryAfter)
		s.show(w, r, http.StatusServiceUnavailable, page)
	case !done:
		s.show(w, r, http.StatusConflict, s.subscribePage(form, words.keptTitle, words.keptText, pending.Address))
	case form.Redirect != "":
		w.Header().Set("Location", form.Redirect)
		w.WriteHeader(http.StatusSeeOther)
	default:
		s.show(w, r, http.StatusOK, s.subscribePage(form, words.doneTitle, words.doneText, pending.Address))
	}
}

// isConfirmed reads the body of a POST to a link, which has what the button of its page
// sends.
func (s *Server) isConfirmed(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	values, err := parseForm(body, r.Header.Get("Content-Type"))
	if err == nil && values.Get(fieldConfirm) == "" {
		err = errors.New("body does not say that it is confirmed")
	}
	return err
}

// allowRedirect lets the browser follow a redirect after the form of this page: without
// it Chromium stays where it is.
func (s *Server) allowRedirect(h http.Header, redirect string) {
	u, err := url.Parse(redirect)
	if redirect == "" || err != nil {
		return
	}
	policy := h.Get("Content-Security-Policy")
	h.Set("Content-Security-Policy", strings.Replace(policy, "form-action 'self'", "form-action 'self' "+u.Scheme+"://"+u.Host, 1))
}

// subscribePage returns a page that says something of a form.
func (s *Server) subscribePage(form subscribe.Form, title, text, address string) theme.Page {
	shown := cmp.Or(masked(address), textsOf[form.Language].you)
	return theme.Page{
		Language: form.Language, Style: s.stylePath(),
		Title: fill(title, form.Topic, shown), Text: fill(text, form.Topic, shown),
	}
}
