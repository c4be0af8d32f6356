package smtppool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"broadside/sender/reply"

	"github.com/wneessen/go-mail/smtp"
)

// Dial opens a connection and brings it to where messages can be sent:
// greeting, EHLO, TLS and login. The error is an *Error.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	c := &Conn{cfg: cfg, born: time.Now(), unwatch: func() {}}
	if err := cfg.check(); err != nil {
		return nil, c.failure(reply.Lost(reply.Connect, reply.Setup, err.Error()), err)
	}
	dialCtx, cancel := context.WithTimeout(ctx, cfg.Timeouts.Connect)
	defer cancel()
	raw, err := cfg.Dial(dialCtx, "tcp", cfg.addr())
	if err != nil {
		return nil, c.failure(reply.Lost(reply.Connect, dialEvent(err), err.Error()), err)
	}
	c.raw = raw
	defer c.watch(ctx)()
	if err := c.open(ctx); err != nil {
		c.Abort()
		return nil, err
	}
	return c, nil
}

// open runs the dialogue up to the first message.
func (c *Conn) open(ctx context.Context) error {
	if c.cfg.TLS == TLSNone && !c.mayBePlain() {
		return c.setup(reply.Connect, reply.Setup, errPlaintext)
	}
	if err := c.greet(ctx); err != nil {
		return err
	}
	if c.cfg.TLS == TLSStartTLS {
		if err := c.startTLS(); err != nil {
			return err
		}
	}
	c.r, c.w = c.client.Text.R, c.client.Text.W
	if c.r.Buffered() > 0 {
		return c.setup(reply.Ehlo, reply.BadReply, badReply("the server spoke before it was asked"))
	}
	c.learn()
	return c.login()
}

// greet waits for the greeting, under TLS where that comes first, and says
// EHLO.
func (c *Conn) greet(ctx context.Context) error {
	var top net.Conn = &cappedConn{Conn: c.raw}
	if c.cfg.TLS == TLSImplicit {
		secure := tls.Client(top, c.tlsConfig())
		c.limit(c.cfg.Timeouts.Hello)
		if err := secure.HandshakeContext(ctx); err != nil {
			return c.refusal(reply.Connect, err)
		}
		top = secure
	}
	c.limit(c.cfg.Timeouts.Greeting)
	client, err := smtp.NewClient(top, c.cfg.Host)
	if err != nil {
		return c.refusal(reply.Connect, err)
	}
	client.ErrorHandlerRegistry.SetDefaultHandler(noSecondTry{})
	c.client = client
	c.limit(c.cfg.Timeouts.Hello)
	if err := client.Hello(c.cfg.Helo); err != nil {
		if both, ok := err.(interface{ Unwrap() []error }); ok {
			err = both.Unwrap()[0] // the answer to EHLO says more than that to HELO
		}
		return c.refusal(reply.Ehlo, err)
	}
	return nil
}

// noSecondTry keeps go-mail from saying HELO to a server that did not refuse
// EHLO but went silent, closed, or answered nonsense.
type noSecondTry struct{}

// HandleError closes the connection unless a proper reply came.
func (noSecondTry) HandleError(_, _ string, conn *textproto.Conn, err error) error {
	var said *textproto.Error
	if !errors.As(err, &said) || said.Code == 421 {
		_ = conn.Close() // what went wrong is in err
	}
	return err
}

// startTLS upgrades the connection, and says EHLO again (RFC 3207 4.2). What
// the server sent in clear behind its 220 is never read as if it had come
// under TLS; it ends the connection.
func (c *Conn) startTLS() error {
	if ok, _ := c.client.Extension("STARTTLS"); !ok {
		return c.setup(reply.Ehlo, reply.TLSMissing, errNoStartTLS)
	}
	c.limit(c.cfg.Timeouts.Hello)
	clear := c.client.Text.R
	err := c.client.StartTLS(c.tlsConfig())
	if clear.Buffered() > 0 {
		return c.setup(reply.Ehlo, reply.TLSHandshake, errInjected)
	}
	if err != nil {
		return c.refusal(reply.Ehlo, err)
	}
	return nil
}

func (c *Conn) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: c.cfg.Host, RootCAs: c.cfg.RootCAs, MinVersion: tls.VersionTLS12}
}

// mayBePlain reports whether the account may do without TLS.
func (c *Conn) mayBePlain() bool {
	if c.cfg.AllowPlaintext {
		return true
	}
	if a, ok := c.raw.RemoteAddr().(*net.TCPAddr); ok {
		return a.IP.IsLoopback()
	}
	ip := net.ParseIP(c.cfg.Host)
	return c.cfg.Host == "localhost" || ip != nil && ip.IsLoopback()
}

// learn fills in Info after the last EHLO.
func (c *Conn) learn() {
	has := func(name string) bool { ok, _ := c.client.Extension(name); return ok }
	in := Info{
		Greeting:   reply.Lost(reply.Ehlo, "", c.client.HelloResponse()).Text, // made printable
		Pipelining: has("PIPELINING"), EightBit: has("8BITMIME"), SMTPUTF8: has("SMTPUTF8"),
	}
	var size, mechanisms string
	in.HasSize, size = c.client.Extension("SIZE")
	in.Size, _ = strconv.ParseInt(strings.TrimSpace(size), 10, 64) // absent or odd: no limit given
	in.Size = max(in.Size, 0)
	_, mechanisms = c.client.Extension("AUTH")
	in.Mechanisms = strings.Fields(strings.ToUpper(mechanisms))
	if state, ok := c.client.TLSConnectionState(); ok {
		in.TLSVersion = tls.VersionName(state.Version)
		in.CipherSuite = tls.CipherSuiteName(state.CipherSuite)
		if len(state.PeerCertificates) > 0 {
			in.CertExpires = state.PeerCertificates[0].NotAfter
		}
	}
	c.info = in
}

// stageTimeout returns the longest wait for a reply at a stage.
func (c *Conn) stageTimeout(stage reply.Stage) time.Duration {
	t := &c.cfg.Timeouts
	switch stage {
	case reply.Auth:
		return t.Auth
	case reply.Rcpt:
		return t.Rcpt
	case reply.Data:
		return t.Data
	case reply.Dot:
		return t.Dot
	}
	if c.ahead {
		return min(t.Mail, aheadTime)
	}
	return t.Mail
}

// setup is the Error for what we refuse ourselves.
func (c *Conn) setup(stage reply.Stage, event string, err error) error {
	return c.failure(reply.Lost(stage, event, err.Error()), err)
}

// refusal is the Error for what the server said, or did, instead of going on.
func (c *Conn) refusal(stage reply.Stage, err error) error {
	return c.failure(c.describe(stage, err), err)
}

func (c *Conn) failure(r reply.Reply, err error) error {
	where := c.cfg.addr()
	if c.cfg.Account != "" {
		where = fmt.Sprintf("account %s (%s)", c.cfg.Account, where)
	}
	return &Error{Reply: r, Err: err, Hint: hint(c.cfg, r, err), where: where}
}
