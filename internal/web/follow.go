package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"broadside/campaign/token"
	"broadside/internal/tracking"
)

// pixel is the picture that shows that a message was opened: a transparent GIF of one
// pixel.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00" +
	"!\xf9\x04\x01\x00\x00\x00\x00" +
	",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// maxAdded is how many dashes and underscores may follow a link in the text from which it
// was copied.
const maxAdded = 4

// click answers a link whose clicks are counted: it leads to the target that is in its
// token. Neither the store nor the run is needed for that, and no one waits for the count.
func (s *Server) click(w http.ResponseWriter, r *http.Request, text string) {
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}

	c, err := s.cfg.Keys.OpenClick(text)
	for range maxAdded {
		end := len(text) - 1
		if err == nil || end < 0 || text[end] != '-' && text[end] != '_' {
			break
		}
		text = text[:end]
		c, err = s.cfg.Keys.OpenClick(text)
	}
	if err != nil {
		v := s.visitOf(browserLanguage(r), token.Unsubscribe{})
		s.show(w, r, http.StatusNotFound, v.page(v.texts.brokenTitle, v.texts.deadEnd, ""))
		return
	}

	if c.Known {
		s.count(r, c.Reader, c.Number, c.Of)
	}
	w.Header().Set("Location", c.Target)
	w.WriteHeader(http.StatusFound)
}

// picture answers the request for the picture. It is the same whatever the token says.
func (s *Server) picture(w http.ResponseWriter, r *http.Request, text string) {
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if reader, err := s.cfg.Keys.ParseReader(text); err == nil {
		s.count(r, reader, 0, 0)
	}
	w.Header().Set("Content-Type", "image/gif")
	w.Header().Set("Content-Length", strconv.Itoa(len(pixel)))
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(pixel)) // an error means that the client is gone
	}
}

// count has a visit counted; link 0 is the picture.
func (s *Server) count(r *http.Request, reader token.Reader, link, links int) {
	if s.cfg.Tracking == nil {
		return
	}
	s.cfg.Tracking.Count(tracking.Visit{
		Reader: reader, Link: link, Links: links,
		Head: r.Method == http.MethodHead, Prefetch: isPrefetch(r.Header), Agent: r.UserAgent(),
		From: clientOf(r), At: time.Now(),
	})
}

// isPrefetch reports whether a request says that it was made before anybody asked for it.
func isPrefetch(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		text := strings.ToLower(h.Get(name))
		if strings.Contains(text, "prefetch") || strings.Contains(text, "preview") {
			return true
		}
	}
	return false
}
