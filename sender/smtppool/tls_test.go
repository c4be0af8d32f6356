package smtppool

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadside/sender/reply"
)

// An authority signs the certificates of test servers.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

var testCA = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}

	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}

	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}

	pool := x509.NewCertPool()
	pool.AddCert(cert)

	return &authority{key, cert, pool}
})

// issue makes a certificate for a name that is valid until an end.
func (a *authority) issue(t testing.TB, name string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Unix(0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}

	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

const (
	mxHost   = "mx.example.com"
	startTLS = "S: 220 hi\nC: EHLO me.example\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"
	inner    = "C: EHLO me.example\nS: 250-hi\nS: 250-SIZE 1000\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 235 in\n"
	oneMail  = "C: MAIL FROM:<f@x.org>\nS: 250 ok\nC: RCPT TO:<t@x.org>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\nC: .\nS: 250 done\n"
)

func tlsAccount(mode string) Config {
	return Config{Host: mxHost, TLS: mode, Username: "u", Password: "p", Auth: "plain", RootCAs: testCA().pool}
}

// serveTLS plays a script in clear, then one under TLS. It returns what the
// client said under TLS only through the script.
func serveTLS(t *testing.T, cfg Config, tlsCfg *tls.Config, clear, secret string) Config {
	return pipeTo(t, cfg, func(conn net.Conn) {
		p := newPeer(t, conn)
		for line := range strings.Lines(clear) {
			line = strings.TrimSuffix(line, "\n")
			if err := p.step(line[:2], strings.TrimPrefix(line[2:], " ")); err != nil {
				t.Errorf("server at %q: %v", line, err)
				return
			}
		}

		secure := tls.Server(conn, tlsCfg)
		if err := secure.HandshakeContext(t.Context()); err != nil {
			if secret != "" {
				t.Errorf("handshake: %v", err)
			}
			_, _ = io.Copy(io.Discard, conn)
			return
		}

		p = &peer{t: t, raw: conn, conn: secure, r: bufio.NewReader(secure)}
		p.play(secret)
	})
}

func TestTLSDelivers(t *testing.T) {
	t.Parallel()
	far := time.Now().Add(time.Hour)
	good := &tls.Config{Certificates: []tls.Certificate{testCA().issue(t, mxHost, far)}}
	for _, tt := range []struct{ mode, clear, secret string }{
		{TLSStartTLS, startTLS, inner + oneMail},
		{TLSImplicit, "", "S: 220 hi\n" + inner + oneMail},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			c, err := Dial(t.Context(), serveTLS(t, tlsAccount(tt.mode), good, tt.clear, tt.secret))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Abort()
			in := c.Info()
			if in.TLSVersion != "TLS 1.3" || in.AuthUsed != "PLAIN" || in.Size != 1000 || in.CertExpires.Unix() != far.Unix() || in.CipherSuite == "" {
				t.Errorf("info: got %+v", in)
			}

			if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
				t.Fatal(r)
			}
			if out := c.Body(t.Context(), []byte("hi\r\n")); !out.Reply.OK() || !out.Complete {
				t.Errorf("got %+v", out)
			}
		})
	}
}

// Under TLS, too, a torn body is known not to be complete.
func TestTLSTornBody(t *testing.T) {
	t.Parallel()
	good := &tls.Config{Certificates: []tls.Certificate{testCA().issue(t, mxHost, time.Now().Add(time.Hour))}}
	untilBody := strings.TrimSuffix(oneMail, "C: hi\nC: .\nS: 250 done\n")
	cfg := serveTLS(t, tlsAccount(TLSStartTLS), good, startTLS, inner+untilBody+"C> 20000\nX")
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
		t.Fatal(r)
	}

	out := c.Body(t.Context(), []byte(strings.Repeat("0123456789\r\n", 10_000)))
	if out.Complete || out.Written < 16<<10 || out.Reply.Stage != reply.Data {
		t.Errorf("got %+v, want it incomplete after some records", out)
	}
}

// What is wrong with TLS is told apart, no login and no mail is tried, and
// the account is paused.
func TestTLSProblems(t *testing.T) {
	t.Parallel()
	ca := testCA()
	far := time.Now().Add(time.Hour)
	with := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	old := with(ca.issue(t, mxHost, far))
	old.MaxVersion = tls.VersionTLS11
	tests := []struct {
		name   string
		server *tls.Config
		system bool // do not trust the test authority
		event  string
		hint   string
	}{
		{"expired", with(ca.issue(t, mxHost, time.Date(2020, 5, 1, 0, 0, 0, 0, time.UTC))), false, reply.TLSCert, "to 2020-05-01, which is not now: renew it"},
		{"wrong name", with(ca.issue(t, "other.example.net", far)), false, reply.TLSCert, "not for mx.example.com: it names other.example.net"},
		{"unknown authority", with(ca.issue(t, mxHost, far)), true, reply.TLSCert, "set ca_file"},
		{"too old", old, false, reply.TLSHandshake, "speaks no TLS version from 1.2 on"},
	}
	for _, tt := range tests {
		for _, mode := range []string{TLSStartTLS, TLSImplicit} {
			t.Run(tt.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				cfg := tlsAccount(mode)
				if tt.system {
					cfg.RootCAs = nil
				}

				clear := ""
				if mode == TLSStartTLS {
					clear = startTLS
				}

				wantProblem(t, serveTLS(t, cfg, tt.server, clear, ""), tt.event, tt.hint)
			})
		}
	}
}

// wantProblem dials and expects the account to be paused with a hint.
func wantProblem(t *testing.T, cfg Config, event, hint string) {
	t.Helper()
	c, err := Dial(t.Context(), cfg)
	if err == nil {
		c.Abort()
		t.Fatal("connected")
	}

	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T, want *Error", err)
	}
	if e.Reply.Event != event || !strings.Contains(err.Error(), hint) {
		t.Errorf("got %s: %v\nwant %s with %q", e.Reply.Event, err, event, hint)
	}
	if d := reply.Classify(e.Reply); d.Verdict != reply.PauseAccount {
		t.Errorf("got %s by %s, want %s", d.Verdict, d.Rule, reply.PauseAccount)
	}
	if strings.Contains(err.Error(), cfg.Password) && len(cfg.Password) > 3 {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestTLSStripped(t *testing.T) {
	t.Parallel()
	cfg := scripted(t, tlsAccount(TLSStartTLS), hello("AUTH PLAIN"))
	wantProblem(t, cfg, reply.TLSMissing, "does not offer STARTTLS")
}

// Data in clear behind the 220 (CVE-2011-0411) is refused, whether or not the
// handshake goes on.
func TestInjectionBehindSTARTTLS(t *testing.T) {
	t.Parallel()
	good := &tls.Config{Certificates: []tls.Certificate{testCA().issue(t, mxHost, time.Now().Add(time.Hour))}}
	clear := strings.Replace(startTLS, "S: 220 go\n", `S> 220 go\n250 injected\n`+"\n", 1)
	t.Run("handshake goes on", func(t *testing.T) {
		t.Parallel()
		cfg := serveTLS(t, tlsAccount(TLSStartTLS), good, clear, "C: EHLO me.example\nS: 250 AUTH PLAIN\n")
		wantProblem(t, cfg, reply.TLSHandshake, "data in front of the TLS session")
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		cfg := pipeTo(t, tlsAccount(TLSStartTLS), func(conn net.Conn) {
			p := newPeer(t, conn)
			for line := range strings.Lines(clear) {
				line = strings.TrimSuffix(line, "\n")
				_ = p.step(line[:2], strings.TrimPrefix(line[2:], " "))
			}
			_, _ = conn.Read(make([]byte, 100)) // the ClientHello
		})
		wantProblem(t, cfg, reply.TLSHandshake, "data in front of the TLS session")
	})
}

func TestSTARTTLSRefused(t *testing.T) {
	t.Parallel()
	r := deliver(t.Context(), scripted(t, tlsAccount(TLSStartTLS), strings.Replace(startTLS, "S: 220 go", "S: 454 4.7.0 not now", 1)))
	if d := reply.Classify(r); r.String() != "454 4.7.0 not now" || d.Verdict != reply.RetryLane {
		t.Errorf("got %s, %s", r, d.Verdict)
	}
}

// TLS from the first byte against a server that greets in clear, and the
// other way round.
func TestWrongTLSMode(t *testing.T) {
	t.Parallel()
	t.Run("implicit on a clear port", func(t *testing.T) {
		t.Parallel()
		cfg := pipeTo(t, tlsAccount(TLSImplicit), func(conn net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			_, _ = io.WriteString(conn, "220 mx.example.com ESMTP\r\n")
			_, _ = io.WriteString(conn, "x")
		})
		wantProblem(t, cfg, reply.TLSHandshake, "set tls: starttls")
	})
	t.Run("starttls on a TLS port", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			_, err := Dial(t.Context(), scripted(t, tlsAccount(TLSStartTLS), ""))
			if err == nil || !strings.Contains(err.Error(), "set tls: implicit") {
				t.Errorf("got %v", err)
			}
		})
	})
}

// Without TLS nothing is said to a server that is not on loopback, unless the
// account allows it.
func TestPlaintext(t *testing.T) {
	t.Parallel()
	cfg := scripted(t, Config{Host: "mx.example.com", TLS: TLSNone}, "W")
	wantProblem(t, cfg, reply.Setup, "allow_plaintext: true")
	for _, cfg := range []Config{
		{Host: "mx.example.com", AllowPlaintext: true},
		{Host: "localhost"},
		{Host: "127.0.0.2"},
		{Host: "::1"},
	} {
		cfg.TLS = TLSNone
		cfg.Username = "u"
		cfg.Password = "p"
		if r := deliver(t.Context(), scripted(t, cfg, hello("AUTH PLAIN")+"C: AUTH PLAIN AHUAcA==\nS: 235 in\n"+oneMail)); !r.OK() {
			t.Errorf("%s: got %s", cfg.Host, r)
		}
	}
}
