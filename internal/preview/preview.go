// Package preview shows a letter in a browser while its author works on it: one
// page on loopback, rendered again with each reload, so that a change of a file is
// seen at once, and a mistake as what is wrong and where.
//
// The page has a reader's address. It is served to this machine alone, under no
// name but those of loopback (a page elsewhere cannot read it by DNS rebinding),
// and the letter in it runs no script.
package preview

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"broadside/internal/letter"
)

// A Render renders the message of one recipient: an address of the audience,
// row:N, or the one chosen at the start when who is empty.
type Render func(ctx context.Context, who string) (*letter.Preview, error)

// Limits of one request.
const (
	headerTime  = 5 * time.Second
	maxHeader   = 16 << 10
	closingTime = time.Second
)

// Listen opens a port of loopback; 0 takes one that is free.
func Listen(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("serve the preview: %w", err)
	}
	return l, nil
}

// URL is where the page of a listener is.
func URL(l net.Listener) string { return "http://" + l.Addr().String() + "/" }

// Serve serves the page until ctx ends, which is its regular end, and closes the
// listener.
func Serve(ctx context.Context, l net.Listener, render Render) error {
	server := &http.Server{
		Handler:           handler(l.Addr(), render),
		ReadHeaderTimeout: headerTime,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() {
		over, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingTime)
		defer cancel()
		if server.Shutdown(over) != nil {
			server.Close() //nolint:errcheck // a reader who does not read
		}
	})
	defer stop()
	if err := server.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve the preview: %w", err)
	}
	return nil
}

// handler serves the page and the message under the names of loopback.
func handler(addr net.Addr, render Render) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { servePage(w, r, render) })
	mux.HandleFunc("GET /preview.eml", func(w http.ResponseWriter, r *http.Request) { serveMessage(w, r, render) })
	_, port, _ := net.SplitHostPort(addr.String())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if r.Host != "127.0.0.1:"+port && r.Host != "localhost:"+port {
			http.Error(w, "the preview is on 127.0.0.1:"+port+" only", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// contentPolicy lets a letter show images and styles, and nothing run.
const contentPolicy = "default-src 'none'; style-src 'unsafe-inline' https:; img-src http: https: data:; font-src https: data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page.html").Parse(pageSource))

// A view is what page.html shows.
type view struct {
	Who, Width string
	Preview    *letter.Preview // nil: it cannot be rendered
	Problems   []string
}

func servePage(w http.ResponseWriter, r *http.Request, render Render) {
	v := view{Who: strings.TrimSpace(r.FormValue("recipient")), Width: r.FormValue("width")}
	status := http.StatusOK
	var err error
	if v.Preview, err = render(r.Context(), v.Who); err != nil {
		v.Preview, status = nil, http.StatusUnprocessableEntity
		v.Problems = strings.Split(err.Error(), "\n")
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", contentPolicy)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a browser that left
}

func serveMessage(w http.ResponseWriter, r *http.Request, render Render) {
	p, err := render(r.Context(), strings.TrimSpace(r.FormValue("recipient")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "message/rfc822")
	w.Header().Set("Content-Disposition", `attachment; filename="preview.eml"`)
	_, _ = w.Write(p.Message)
}
