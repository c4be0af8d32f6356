package smtppool

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/sender/reply"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

// A realServer is go-smtp, which knows nothing of our scripts.
type realServer struct {
	mu  sync.Mutex
	got []string
}

func (s *realServer) NewSession(*smtp.Conn) (smtp.Session, error) { return &realSession{srv: s}, nil }

type realSession struct {
	srv    *realServer
	authed bool
}

func (s *realSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *realSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if user != "u" || pass != "p" {
			return smtp.ErrAuthFailed
		}
		s.authed = true
		return nil
	}), nil
}

func (s *realSession) Mail(string, *smtp.MailOptions) error {
	if !s.authed {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *realSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == "nobody@x.org" {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	return nil
}

func (s *realSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.srv.got = append(s.srv.got, string(b))
	return err
}

func (*realSession) Reset()        {}
func (*realSession) Logout() error { return nil }

// A whole session with a server that others wrote: STARTTLS, login, a refusal
// in the middle, dots, and a message of many blocks.
func TestRealServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	backend := &realServer{}
	srv := smtp.NewServer(backend)
	srv.Domain = "test"
	srv.MaxMessageBytes = 2 << 20
	srv.MaxLineLength = 2000
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{testCA().issue(t, mxHost, time.Now().Add(time.Hour))}}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	defer func() {
		_ = srv.Close()
		<-done
	}()

	cfg := tlsAccount(TLSStartTLS)
	var d net.Dialer
	cfg.Dial = d.DialContext
	cfg.Host = "127.0.0.1"
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	if _, err := Dial(t.Context(), cfg); err == nil {
		t.Error("accepted a certificate for another name")
	}

	wrong := dialledAt(cfg, l.Addr().String())
	wrong.Password = "q"
	wantProblem(t, wrong, "", "refused username or password")

	c, err := Dial(t.Context(), dialledAt(cfg, l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}

	if in := c.Info(); !in.Pipelining || in.Size != 2<<20 {
		t.Errorf("info: got %+v", in)
	}

	large := strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 15_000)
	var got []string
	for _, m := range []struct{ to, msg string }{
		{"a@x.org", "one\r\n.\r\n..two\r\n"}, {"nobody@x.org", "never\r\n"}, {"b@x.org", large}, {"c@x.org", "last\r\n"},
	} {
		got = append(got, send(t.Context(), c, m.to, m.msg))
	}

	want := []string{
		"dot 250 2.0.0 OK: queued complete=true", "rcpt 550 5.1.1 no such user",
		"dot 250 2.0.0 OK: queued complete=true", "dot 250 2.0.0 OK: queued complete=true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 3<<20); r == nil || r.Event != reply.LocalSize {
		t.Errorf("too large: got %v", r)
	}

	c.Quit(t.Context())
	backend.mu.Lock()
	defer backend.mu.Unlock()
	if diff := cmp.Diff([]string{"one\r\n.\r\n..two\r\n", large, "last\r\n"}, backend.got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// dialledAt keeps the account's host name, for the certificate, and goes to
// an address.
func dialledAt(cfg Config, addr string) Config {
	cfg.Host = mxHost
	cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return cfg
}
