package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"broadside/campaign/token"
	"broadside/internal/web"
)

// pipes is a listener whose connections are net.Pipes, so that time in a
// synctest bubble goes by while one waits.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// running starts a server whose feedback does what add does.
func running(t *testing.T, add func() error) (ln *pipes, path string, stop func() error) {
	t.Helper()
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatalf("NewKeys: %v", err)
	}

	srv, err := web.New(web.Config{Keys: keys, Feedback: applier(add), Ready: ready})
	if err != nil {
		t.Fatalf("New: %v", err)
	}

	ln = newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx, ln) }()
	return ln, token.Path + keys.Seal(link), func() error {
		cancel()
		return <-ended
	}
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("write request: %v", err)
	}
}

const postHead = " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\n"

func TestRunFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, path, stop := running(t, func() error { time.Sleep(3 * time.Second); return nil })
		c := ln.dial()
		defer c.Close()
		send(t, c, "POST "+path+postHead+"confirm=yes")
		answer := make(chan string, 1)
		go func() {
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				answer <- err.Error()
				return
			}
			res.Body.Close()
			answer <- res.Status
		}()
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if got := <-answer; got != "200 OK" {
			t.Errorf("answer: got %s, want 200 OK", got)
		}
		if took := time.Since(start); took < 3*time.Second || took > 5*time.Second {
			t.Errorf("stopped after %v, want as soon as the answer was given, 3 s", took)
		}
	})
}

func TestRunStopsAfterItsGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, path, stop := running(t, func() error { time.Sleep(time.Minute); return nil })
		c := ln.dial()
		defer c.Close()
		send(t, c, "POST "+path+postHead+"confirm=yes")
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("stopped after %v, want 5 s", took)
		}
		time.Sleep(time.Minute) // the handler ends too
	})
}

// Slow clients must not hold connections for ever.
func TestRunCutsOffSlowClients(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, first string
		after       time.Duration
	}{
		{"headers", "GET / HTTP/1.1\r\nHost: x\r\n", 5 * time.Second},
		{"body", "POST PATH" + postHead + "conf", 15 * time.Second},
		{"idle", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 60 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ln, path, stop := running(t, func() error { return nil })
				c := ln.dial()
				defer c.Close()
				start := time.Now()
				ended := make(chan time.Duration, 1)
				go func() {
					_, err := io.Copy(io.Discard, c)
					if err != nil {
						t.Errorf("read to the end: %v", err)
					}
					ended <- time.Since(start)
				}()
				send(t, c, strings.Replace(tt.first, "PATH", path, 1))
				if took := <-ended; took < tt.after || took > tt.after+time.Second {
					t.Errorf("cut off after %v, want %v", took, tt.after)
				}
				if err := stop(); err != nil {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestRunRefusesLargeHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, _, stop := running(t, func() error { return nil })
		c := ln.dial()
		defer c.Close()
		go func() { // ends when the server closes
			_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		}()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("read answer: %v", err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %d, want 431", res.StatusCode)
		}
		c.Close()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRunSaysWhenItCannotListen(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}

	ln.Close()
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatalf("NewKeys: %v", err)
	}

	srv, err := web.New(web.Config{Keys: keys, Feedback: applier(func() error { return nil }), Ready: ready})
	if err != nil {
		t.Fatalf("New: %v", err)
	}

	if err := srv.Run(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run on a closed listener: got %v, want ErrClosed", err)
	}
}

// Idle connections must not take all places: when there are many, those without
// a request are closed, and the next ones are answered at once.
func TestRunMakesRoomAmongIdleConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, _, stop := running(t, func() error { return nil })
		start := time.Now()
		for range 2500 {
			c := ln.dial()
			defer c.Close()
			send(t, c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("read answer: %v", err)
			}
			res.Body.Close()
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("some waited for %v, want no wait", took)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// Connections beyond the limit wait; they are served when others have ended.
func TestRunCapsConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, _, stop := running(t, func() error { return nil })
		start := time.Now()
		for range 1000 {
			defer ln.dial().Close() // and sends nothing
		}
		accepted := make(chan net.Conn)
		go func() { accepted <- ln.dial() }()
		synctest.Wait()
		select {
		case <-accepted:
			t.Error("one more than the limit was accepted at once")
		default:
			(<-accepted).Close()
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it was accepted after %v, want when silent ones are cut off, 5 s", took)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// Whatever stands in a request: an answer, no redirect, and only a proper
// body unsubscribes.
func FuzzHandler(f *testing.F) {
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		f.Fatalf("NewKeys: %v", err)
	}

	good := token.Path + keys.Seal(link)
	f.Add("POST", good, form, "List-Unsubscribe=One-Click")
	f.Add("POST", good, "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"confirm\"\r\n\r\nyes\r\n--b--")
	f.Add("POST", good, "multipart/form-data", "--")
	f.Add("GET", "/u/../readyz", "", "")
	f.Add("HEAD", "//healthz", "x", "\x00")
	f.Fuzz(func(t *testing.T, method, path, contentType, body string) {
		asked := false
		srv, err := web.New(web.Config{Keys: keys, Ready: ready, Feedback: applier(func() error { asked = true; return nil })})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		req := httptest.NewRequest("GET", "/", strings.NewReader(body))
		req.Method, req.URL.Path = method, path
		req.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		srv.Handler().ServeHTTP(rec, req)
		if rec.Code/100 == 3 || rec.Code == 500 {
			t.Fatalf("answered %d", rec.Code)
		}
		if meant := strings.Contains(strings.ToLower(body), "one") || strings.Contains(body, "confirm") || strings.Contains(body, "%"); asked && (method != "POST" || !meant) {
			t.Fatalf("%s with the body %q unsubscribed", method, body)
		}
	})
}
