package webfile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"broadside/campaign/audience"
	"broadside/campaign/sources/webfile"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

const people = "email,first_name\nann@example.com,Ann\nben@example.com,Ben\n"

// site serves what answer writes, and returns its URL.
func site(t testing.TB, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

func source(url string) webfile.Source {
	return webfile.Source{URL: url, Name: strictyaml.ShownURL(url), What: "this audience"}
}

// withSecrets puts a user, a password and a token into a URL.
func withSecrets(url, path string) string {
	return strings.Replace(url, "http://", "http://reader:tiger@", 1) + path + "?token=hunter2"
}

// fetch returns what was fetched, and its ending.
func fetch(t testing.TB, s webfile.Source) (text, ending string, err error) {
	t.Helper()
	f, err := webfile.Fetch(t.Context(), s)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), f.Ending, nil
}

func TestFetch(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(people)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, header, value string
		chunked             bool
		body, ending        string
	}{
		{path: "/people.csv", body: people, ending: ".csv"},
		{path: "/people.TSV", body: people, ending: ".csv"},
		{path: "/people.csv.gz", body: packed.String(), ending: ".csv"},
		{path: "/people.ndjson", body: "{}\n", ending: ".jsonl"},
		{path: "/people.xlsx", body: "PK", ending: ".xlsx"},
		{path: "/export.php", header: "Content-Type", value: "text/csv; charset=utf-8", body: people, ending: ".csv"},
		{path: "/export", header: "Content-Type", value: "text/tab-separated-values", body: people, ending: ".csv"},
		{path: "/export", header: "Content-Type", value: "application/x-ndjson", body: "{}\n", ending: ".jsonl"},
		{path: "/export", header: "Content-Type", value: "application/octet-stream", body: people, ending: ""},
		{path: "/export", header: "Content-Encoding", value: "gzip", body: packed.String(), ending: ""},
		{path: "/export", chunked: true, body: people, ending: ""},
	} {
		t.Run(tc.path+" "+tc.value, func(t *testing.T) {
			t.Parallel()
			url := site(t, func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				if user != "reader" || password != "tiger" || r.URL.Query().Get("token") != "hunter2" || r.Header.Get("Accept-Encoding") != "gzip" {
					http.Error(w, "who is that?", http.StatusUnauthorized)
					return
				}
				w.Header().Set("Content-Type", "application/octet-stream")
				if tc.header != "" {
					w.Header().Set(tc.header, tc.value)
				}
				_, _ = io.WriteString(w, tc.body)
				if tc.chunked {
					_ = http.NewResponseController(w).Flush()
				}
			})
			text, ending, err := fetch(t, source(withSecrets(url, tc.path)))
			if err != nil || text != tc.body || ending != tc.ending {
				t.Errorf("got %q, ending %q, error %v; want %q, %q", text, ending, err, tc.body, tc.ending)
			}
		})
	}
}

// What is refused says why, of which kind it is, and no secret.
func TestRefused(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
	}
	header := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			_, _ = io.WriteString(w, people)
		}
	}
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		kind   error
		want   string
	}{
		{"not found", status(404), failure.ErrInvalid, "answered 404 Not Found: is the address right?"},
		{"login", status(401), failure.ErrInvalid, "answered 401 Unauthorized: are user and password"},
		{"forbidden", status(403), failure.ErrInvalid, "answered 403 Forbidden: are user and password"},
		{"bad request", status(400), failure.ErrInvalid, "answered 400 Bad Request, expected 200"},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, failure.ErrInvalid, "answered 204 No Content, expected 200"},
		{"busy", status(429), failure.ErrUnreachable, "answered 429 Too Many Requests: try again later"},
		{"timeout", status(408), failure.ErrUnreachable, "answered 408"},
		{"early", status(425), failure.ErrUnreachable, "answered 425"},
		{"down", status(503), failure.ErrUnreachable, "answered 503 Service Unavailable: try again later"},
		{"a page", header("Content-Type", "text/html; charset=utf-8"), failure.ErrInvalid, "answered with a web page, expected a .csv"},
		{"an encoding", header("Content-Encoding", "br"), failure.ErrInvalid, `answered with the content encoding "br", expected gzip or none`},
		{"a redirect to clear text", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://acme.example/people.csv", http.StatusFound)
		}, failure.ErrInvalid, "answered with a redirect to http://acme.example, expected one to https"},
		{"a redirect to another network", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://10.1.2.3/latest", http.StatusFound)
		}, failure.ErrInvalid, "connect to 10.1.2.3: it is not an address of the public Internet; if it is your own network, set allow_private: true for this audience"},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		}, failure.ErrInvalid, "answered with more than 5 redirects"},
		{"too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1073741825")
			w.WriteHeader(http.StatusOK)
		}, nil, "larger than 1 GiB; compress it"},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(people)+1))
			_, _ = io.WriteString(w, people)
		}, failure.ErrUnreachable, "the answer broke off after 57 of 58 bytes; nothing of it is used"},
		{"chunks that break off", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, people)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, failure.ErrUnreachable, "the answer broke off after 57 bytes; nothing of it is used"},
		{"no end that can be told", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+people)
			_ = conn.Close()
		}, failure.ErrInvalid, "answered with neither Content-Length nor chunks"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url := site(t, tc.answer)
			_, _, err := fetch(t, source(withSecrets(url, "/people.csv")))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), url+"/people.csv?...: ") {
				t.Fatalf("got %v, want %s", err, tc.want)
			}
			if _, isFile := errors.AsType[*audience.FileError](err); tc.kind == nil && !isFile || tc.kind != nil && !errors.Is(err, tc.kind) {
				t.Errorf("got an error of another kind: %#v", err)
			}
			for _, secret := range []string{"hunter2", "tiger", "reader"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is in the error: %v", err)
				}
			}
		})
	}
}

// A redirect is followed to where a source may be. The login goes along to the same host,
// and no secret to another one.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var referer, authorization string
	elsewhere := site(t, func(w http.ResponseWriter, r *http.Request) {
		referer, authorization = r.Header.Get("Referer"), r.Header.Get("Authorization")
		_, _ = io.WriteString(w, people)
	})
	elsewhere = strings.Replace(elsewhere, "127.0.0.1", "localhost", 1)
	url := site(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "reader" || password != "tiger" {
			http.Error(w, "who is that?", http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/people.csv" {
			http.Redirect(w, r, "/moved.csv", http.StatusFound)
			return
		}
		http.Redirect(w, r, elsewhere+"/other.csv", http.StatusFound)
	})
	text, _, err := fetch(t, source(withSecrets(url, "/people.csv")))
	if err != nil || text != people {
		t.Fatalf("got %q, %v", text, err)
	}
	if referer+authorization != "" {
		t.Errorf("the other host was told %q and %q", referer, authorization)
	}
}

// A name that DNS says is this machine is refused where the URL does not say so.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://10.0.0.1/people.csv", "https://169.254.169.254/latest", "https://[fd12:3456:789a::1]/people.csv"} {
		_, _, err := fetch(t, source(url))
		if !errors.Is(err, failure.ErrInvalid) || !strings.Contains(err.Error(), "allow_private: true for this audience") {
			t.Errorf("%s: got %v, want a refusal", url, err)
		}
	}
	allowed := source("https://127.0.0.1:1/people.csv")
	allowed.AllowPrivate = true
	if _, _, err := fetch(t, allowed); !errors.Is(err, failure.ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want a connection that was refused", err)
	}
}

// The end of the caller's context is no trouble of the source.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	interrupted := errors.New("interrupted by the user")
	ctx, stop := context.WithCancelCause(t.Context())
	url := site(t, func(_ http.ResponseWriter, r *http.Request) {
		stop(interrupted)
		<-r.Context().Done()
	})
	_, err := webfile.Fetch(ctx, source(url+"/people.csv"))
	if !errors.Is(err, interrupted) || errors.Is(err, failure.ErrUnreachable) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// Nothing of a file is left when it was closed, or broke off.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	url := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short.csv" {
			w.Header().Set("Content-Length", "1000")
		}
		_, _ = io.WriteString(w, people)
	})
	f, err := webfile.Fetch(t.Context(), source(url+"/people.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := fetch(t, source(url+"/short.csv")); err == nil {
		t.Fatal("a short answer was taken")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, error %v", left, err)
	}
}

// FuzzFetch answers with any bytes. Either it is an error, or all of what was announced.
func FuzzFetch(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: https://10.0.0.1/\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = c.Read(make([]byte, 4096))
				_, _ = c.Write(answer)
				_ = c.Close()
			}
		}()
		text, _, err := fetch(t, source("http://"+l.Addr().String()+"/people.csv?token=hunter2"))
		if err == nil && !bytes.Contains(answer, []byte(text)) && !bytes.Contains(bytes.ToLower(answer), []byte("chunked")) {
			t.Errorf("%q became %q", answer, text)
		}
		if err != nil && !errors.Is(err, failure.ErrInvalid) && !errors.Is(err, failure.ErrUnreachable) {
			if _, isFile := errors.AsType[*audience.FileError](err); !isFile {
				t.Errorf("an error of no kind: %v", err)
			}
		}
	})
}
