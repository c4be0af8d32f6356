package feed

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

// definition is a campaign with a feed.
func definition(t *testing.T, feed, more string) *campaign.Definition {
	t.Helper()
	def, err := campaign.Parse("digest.yaml", ".", []byte("id: digest\ntopic: news\nfrom: a@acme.example\nsubject: S\naudience: {source: a.csv}\ncontent:\n  markdown: a.md\n  feed: "+feed+"\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// site is a server with a feed, and with what is none.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/feed.xml", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.URL.Query().Has("login") && (user != "ada" || password != "hunter2") {
			http.Error(w, "who is that?", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, rssFeed)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/feed.xml", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/metadata", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
	})
	mux.HandleFunc("/inside", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://10.0.0.1/feed.xml", http.StatusFound)
	})
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html><body>Welcome</body></html>") })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for range 6 {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	})
	mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write([]byte(rssFeed))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestReadFromTheWeb(t *testing.T) {
	t.Parallel()
	url := site(t).URL
	for _, feed := range []string{url + "/feed.xml", url + "/moved", strings.Replace(url, "http://", "http://ada:hunter2@", 1) + "/feed.xml?login"} {
		items, err := Read(t.Context(), definition(t, feed, ""), time.UTC)
		if err != nil || len(items) != 3 {
			t.Errorf("%s: %d items, error %v", feed, len(items), err)
		}
	}
}

// An error says where the campaign names the feed, and never shows a password.
func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	url := site(t).URL
	const secret = "?token=hunter2"
	for _, tt := range []struct {
		feed, want string
		passing    bool // it may be over soon
	}{
		{url + "/none" + secret, "digest.yaml:8:9: content.feed: the server answered 404 Not Found, expected 200: is the address right?", false},
		{url + "/feed.xml?login&token=hunter2", "answered 401 Unauthorized", false},
		{url + "/page" + secret, `found text/html that begins with "<html><body>Welcome</body></html>", expected a feed`, false},
		{url + "/loop" + secret, "more than 5 redirects", false},
		{url + "/metadata" + secret, "a redirect to http://169.254.169.254, expected one to https", false},
		{url + "/inside" + secret, "10.0.0.1: it is not an address of the public Internet; if it is your own network, set allow_private: true", false},
		{url + "/endless" + secret, "more than 5 MiB", false},
		{"https://10.0.0.1/feed.xml" + secret, "set allow_private: true", false},
		{url + "/half" + secret, "broke off", true},
		{url + "/busy" + secret, "the server answered 503 Service Unavailable", true},
		{"http://127.0.0.1:1/feed.xml" + secret, "digest.yaml: content.feed: the server cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused", true},
	} {
		items, err := Read(t.Context(), definition(t, tt.feed, ""), time.UTC)
		_, ours := errors.AsType[*Error](err)
		if items != nil || !ours || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %d items, error %v; want %q in it", tt.feed, len(items), err, tt.want)
			continue
		}
		problems, invalid := errors.AsType[strictyaml.Problems](err)
		if unreachable := errors.Is(err, failure.ErrUnreachable); unreachable != tt.passing || invalid == tt.passing {
			t.Errorf("%s: unreachable is %v, a problem of the file is %v", tt.feed, unreachable, invalid)
		}
		if invalid && (problems[0].Line != 8 || problems[0].Key != "content.feed") {
			t.Errorf("%s: at %+v", tt.feed, problems[0])
		}
	}
}
