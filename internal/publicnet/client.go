package publicnet

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// connectWithin is how long a connection may take, and its TLS.
	connectWithin = 15 * time.Second
	// maxRedirects is how many redirects are followed.
	maxRedirects = 5
	// maxHeader is the most bytes of the header of an answer.
	maxHeader = 64 << 10
)

// A RedirectError says why a redirect was not followed.
type RedirectError struct{ text string }

func (e *RedirectError) Error() string { return e.text }

// Client returns a client that reads what people write into files. Its connections are
// guarded, and it follows few redirects: to https, and from this machine to this machine.
// settings are what else its transport has; the caller closes its idle connections.
//
// Proxies of the environment are not used: the guard would see the address of the proxy
// and not that of the server.
func (g Guard) Client(settings *http.Transport) *http.Client {
	dialer := &net.Dialer{Timeout: connectWithin, Control: g.Control}
	settings.DialContext = dialer.DialContext
	settings.ForceAttemptHTTP2 = true
	settings.TLSHandshakeTimeout = connectWithin
	settings.MaxResponseHeaderBytes = maxHeader
	return &http.Client{Transport: settings, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		req.Header.Del("Referer") // there may be a password in the query of the page before
		return g.checkRedirect(req.URL, len(via))
	}}
}

// checkRedirect refuses a redirect to what could not be written into a file either. Where
// it leads is checked by Control.
func (g Guard) checkRedirect(to *url.URL, followed int) error {
	switch {
	case followed > maxRedirects:
		return &RedirectError{fmt.Sprintf("more than %d redirects", maxRedirects)}
	case to.Scheme == "https", to.Scheme == "http" && g.Loopback && IsLoopback(to.Hostname()):
		return nil
	}
	return &RedirectError{"a redirect to " + to.Scheme + "://" + to.Host + ", expected one to https"}
}
