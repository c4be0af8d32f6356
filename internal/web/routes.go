package web

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"broadside/campaign/token"
	"broadside/configs"
)

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
	hooksPath  = "/hooks/"
	apiPath    = "/api/"
)

// readyWithin is how long the store may take to answer /readyz.
const readyWithin = time.Second

// Handler returns what Run serves.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recover(w, r)
		s.setHeaders(w.Header())
		switch page, rest := route(r.URL.Path, s.base); page {
		case token.Path:
			s.unsubscribe(w, r, rest)
		case token.ClickPath:
			s.click(w, r, rest)
		case token.OpenPath:
			s.picture(w, r, rest)
		case hooksPath:
			s.handOn(s.cfg.Hooks, "name", w, r, rest)
		case apiPath:
			s.handOn(s.cfg.API, "path", w, r, rest)
		case configs.SubscribePath:
			s.subscribe(w, r, rest)
		case healthPath:
			s.health(w, r, func(context.Context) error { return nil })
		case readyPath:
			s.health(w, r, s.cfg.Ready)
		default:
			plain(w, http.StatusNotFound, "not found")
		}
	})
}

// handOn hands a request to another handler, with the rest of its path as a path value;
// nil answers that there is nothing.
func (s *Server) handOn(to http.Handler, name string, w http.ResponseWriter, r *http.Request, rest string) {
	if to == nil {
		plain(w, http.StatusNotFound, "not found")
		return
	}
	r.SetPathValue(name, rest)
	to.ServeHTTP(w, r)
}

// setHeaders sets what every answer has. A link is a secret of its reader: no
// referrer, no cache, no index.
func (s *Server) setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' https: data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	if s.https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// recover answers a panic with an id that is in the log too.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v) // how a handler says that the connection is to be cut
	}
	id := rand.Text()[:8]
	s.crash.Stopped(v, "id", id, "method", r.Method)
	plain(w, http.StatusInternalServerError, "something went wrong (id "+id+")")
}

func (s *Server) health(w http.ResponseWriter, r *http.Request, ask func(context.Context) error) {
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if err := ask(ctx); err != nil {
		s.log.DebugContext(ctx, "not ready", "err", err)
		plain(w, http.StatusServiceUnavailable, "the store does not answer")
		return
	}
	plain(w, http.StatusOK, "ok")
}

// allow answers a method that is not among methods, and reports false.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	plain(w, http.StatusMethodNotAllowed, "method not allowed")
	return false
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // an error means that the client is gone
}
