package testkit_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// trust returns a client's TLS configuration that trusts only the test's CA.
func trust(t *testing.T, c testkit.Certificates) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the CA file")
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func smtpClient(t *testing.T, conn net.Conn, err error) *smtp.Client {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *smtp.Client, to, text string) {
	t.Helper()
	if err := c.Mail("news@example.test"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt(to); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("Subject: " + text + "\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	var got *textproto.Error
	if !errors.As(err, &got) || got.Code != code {
		t.Errorf("%s: got %v, want code %d", what, err, code)
	}
}

func TestPostfix(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	p := testkit.Postfix(t, testkit.PostfixConfig{User: "news", Password: "secret", Cert: certs.Valid})

	conn, err := net.Dial("tcp", p.Submission())
	c := smtpClient(t, conn, err)
	wantCode(t, "MAIL without TLS", c.Mail("news@example.test"), 530)
	if err := c.StartTLS(trust(t, certs)); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("news@example.test"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "RCPT without AUTH", c.Rcpt("ann@example.test"), 554)
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.CRAMMD5Auth("news", "secret")); err != nil {
		t.Fatal(err)
	}
	send(t, c, "ann@example.test", "over STARTTLS")

	tc, err := tls.Dial("tcp", p.Submissions(), trust(t, certs))
	c = smtpClient(t, tc, err)
	if err := c.Auth(smtp.PlainAuth("", "news", "secret", "localhost")); err != nil {
		t.Fatal(err)
	}
	send(t, c, "bob@elsewhere.test", "over implicit TLS")

	tc, err = tls.Dial("tcp", p.Submissions(), trust(t, certs))
	c = smtpClient(t, tc, err)
	wantCode(t, "wrong password", c.Auth(smtp.PlainAuth("", "news", "wrong", "localhost")), 535)

	got := map[string]string{}
	for _, d := range p.WaitDelivered(2, time.Minute) {
		got[d.To] = string(d.Data)
	}
	if len(got) != 2 || !strings.Contains(got["ann@example.test"], "Subject: over STARTTLS\n") ||
		!strings.Contains(got["bob@elsewhere.test"], "Subject: over implicit TLS\n") {
		t.Errorf("got deliveries %q", got)
	}
}

func TestPostfixWithoutStartTLS(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	p := testkit.Postfix(t, testkit.PostfixConfig{User: "news", Password: "secret", Cert: certs.Expired, NoStartTLS: true, Mechanisms: "PLAIN"})
	conn, err := net.Dial("tcp", p.Submission())
	c := smtpClient(t, conn, err)
	if ok, _ := c.Extension("STARTTLS"); ok {
		t.Error("STARTTLS is offered")
	}
	if _, mechs := c.Extension("AUTH"); mechs != "PLAIN" {
		t.Errorf("got AUTH %q, want PLAIN", mechs)
	}
	_, err = tls.Dial("tcp", p.Submissions(), trust(t, certs))
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("expired certificate: got %v", err)
	}
	if got := p.WaitDelivered(0, 0); len(got) != 0 {
		t.Errorf("got %d deliveries, want none", len(got))
	}
}
