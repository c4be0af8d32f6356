package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"broadside/internal/access"
	"broadside/internal/outage"
	"broadside/internal/single"
)

// Tokens says whose request it is; *access.Tokens is one.
type Tokens interface {
	Check(ctx context.Context, text, scope string, now time.Time) (access.Token, error)
}

// Messages takes single messages; *single.Service is one.
type Messages interface {
	Accept(ctx context.Context, r single.Request) (single.Status, bool, error)
}

// Config is what a Handler needs.
type Config struct {
	Tokens   Tokens
	Messages Messages
	Dir      string // of the configuration, where the templates are that requests name
	Log      *slog.Logger
}

// Limits of a request.
const (
	maxBody    = single.MaxData + 16<<10 // bytes
	maxAtOnce  = 64                      // requests whose bodies are in memory
	waitWithin = 2 * time.Second         // for one of these places
	workWithin = 10 * time.Second        // after the body was read
	retryAfter = 30                      // seconds, while the store is away
	retryFull  = 60                      // seconds, while too many messages wait
)

// sendPath is what comes behind /api/.
const sendPath = "v1/send"

// A Handler answers the requests. It is safe for concurrent use.
type Handler struct {
	cfg    Config
	places chan struct{}
	away   *outage.Notice
}

// New returns a handler.
func New(cfg Config) *Handler {
	return &Handler{
		cfg: cfg, places: make(chan struct{}, maxAtOnce),
		away: outage.NewNotice(cfg.Log, "requests for single messages cannot be taken, programs are asked to try again", "requests for single messages are taken again"),
	}
}

// ServeHTTP answers a request for what the path value "path" names, behind /api/.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.TrimSuffix(r.PathValue("path"), "/") != sendPath {
		answer(w, http.StatusNotFound, problem{Error: "not found: there is POST /api/" + sendPath})
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, problem{Error: "method not allowed: expected POST"})
		return
	}
	if !h.enter(r.Context()) {
		h.later(w, "too many requests at once")
		return
	}
	defer func() { <-h.places }()

	ctx, cancel := context.WithTimeout(r.Context(), workWithin)
	defer cancel()
	token, ok := h.authorize(ctx, w, r)
	if !ok {
		return
	}
	request, ok := h.read(w, r)
	if !ok {
		return
	}
	st, created, err := h.cfg.Messages.Accept(ctx, request)
	if err != nil {
		h.refuse(w, err)
		return
	}

	h.away.Note(nil)
	h.cfg.Log.InfoContext(ctx, "single message asked for", "id", st.ID, "template", st.Template, "token", token.ID, "new", created)
	status := http.StatusOK
	if created {
		status = http.StatusAccepted
	}
	answer(w, status, single.DocumentOf(st))
}

// enter waits for a place among the requests under way.
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

// authorize finds out whose request it is, or answers it.
func (h *Handler) authorize(ctx context.Context, w http.ResponseWriter, r *http.Request) (access.Token, bool) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		text = ""
	}
	token, err := h.cfg.Tokens.Check(ctx, strings.TrimSpace(text), access.Send, time.Now())
	switch {
	case err == nil:
		return token, true
	case errors.Is(err, access.ErrUnknown):
		w.Header().Set("WWW-Authenticate", `Bearer realm="broadside"`)
		answer(w, http.StatusUnauthorized, problem{Error: "no token that is known: send Authorization: Bearer TOKEN (broadside token create --scope send makes one)"})
	case errors.Is(err, access.ErrScope):
		answer(w, http.StatusForbidden, problem{Error: "the token is not for this: it needs the scope " + access.Send})
	default:
		h.refuse(w, err)
	}
	return access.Token{}, false
}

// read reads a request, or answers it.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) (single.Request, bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		answer(w, http.StatusUnsupportedMediaType, problem{Error: "expected Content-Type: application/json"})
		return single.Request{}, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		answer(w, http.StatusRequestEntityTooLarge, problem{Error: "the body is larger than " + strconv.Itoa(maxBody) + " bytes"})
		return single.Request{}, false
	}
	if err != nil {
		answer(w, http.StatusBadRequest, problem{Error: "the body did not come to its end"})
		return single.Request{}, false
	}

	request, err := parseSend(body, h.cfg.Dir)
	if err != nil {
		h.refuse(w, err)
		return single.Request{}, false
	}
	request.Key = r.Header.Get("Idempotency-Key")
	return request, true
}

func answer(w http.ResponseWriter, status int, document any) {
	text, err := json.Marshal(document)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"something went wrong"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // an error means that the client is gone
}
