package smtppool

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"broadside/sender/reply"
)

// Dial opens a connection and brings it to where messages can be sent:
// greeting, EHLO, TLS and login. The error is an *Error.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	c := &Conn{cfg: cfg, born: time.Now(), unwatch: func() {}, steps: &steps{log: slog.New(slog.DiscardHandler)}}
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
	if err := c.begin(ctx); err != nil {
		return err
	}
	if c.cfg.TLS == TLSStartTLS {
		if err := c.startTLS(ctx); err != nil {
			return err
		}
	}
	if c.r.Buffered() > 0 {
		return c.setup(reply.Ehlo, reply.BadReply, badReply("the server spoke before it was asked"))
	}
	c.learn()
	return c.login(ctx)
}

// begin waits for the greeting, under TLS where that comes first, and says
// EHLO.
func (c *Conn) begin(ctx context.Context) error {
	c.attach(&cappedConn{Conn: c.raw})
	if c.cfg.TLS == TLSImplicit {
		c.limit(c.cfg.Timeouts.Hello)
		if err := c.secure(ctx); err != nil {
			return c.refusal(reply.Connect, err)
		}
	}
	if err := c.greeting(); err != nil {
		return err
	}
	return c.hello()
}

// secure begins TLS on what is read and written.
func (c *Conn) secure(ctx context.Context) error {
	session := tls.Client(c.top, c.tlsConfig())
	if err := session.HandshakeContext(ctx); err != nil {
		return err
	}
	c.attach(session)
	c.tls = session
	return nil
}

// startTLS upgrades the connection, and says EHLO again (RFC 3207 4.2). What
// the server sent in clear behind its 220 is never read as if it had come
// under TLS; it ends the connection.
func (c *Conn) startTLS(ctx context.Context) error {
	if !c.extensions.has("STARTTLS") {
		return c.setup(reply.Ehlo, reply.TLSMissing, errNoStartTLS)
	}
	c.limit(c.cfg.Timeouts.Hello)
	if _, err := c.write([]byte("STARTTLS\r\n")); err != nil {
		return c.refusal(reply.Ehlo, err)
	}
	code, text, err := c.read()
	switch {
	case err != nil:
		return c.refusal(reply.Ehlo, err)
	case code != 220:
		return c.refused(reply.Ehlo, code, string(text))
	}
	clear := c.r
	err = c.helloAgain(ctx)
	if clear.Buffered() > 0 {
		return c.setup(reply.Ehlo, reply.TLSHandshake, errInjected)
	}
	return err
}

func (c *Conn) helloAgain(ctx context.Context) error {
	if err := c.secure(ctx); err != nil {
		return c.refusal(reply.Ehlo, err)
	}
	return c.hello()
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
	e := c.extensions
	in := Info{
		Greeting:   reply.Lost(reply.Ehlo, "", e.greeting).Text, // made printable
		Pipelining: e.has("PIPELINING"), EightBit: e.has("8BITMIME"), SMTPUTF8: e.has("SMTPUTF8"),
		HasSize: e.has("SIZE"), Size: e.size(), Mechanisms: e.mechanisms(), Keywords: e.keywords(),
	}
	if c.tls != nil {
		state := c.tls.ConnectionState()
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
func (c *Conn) setup(stage reply.Stage, event string, err error) *Error {
	return c.failure(reply.Lost(stage, event, err.Error()), err)
}

// refusal is the Error for what the server said, or did, instead of going on.
func (c *Conn) refusal(stage reply.Stage, err error) *Error {
	return c.failure(c.describe(stage, err), err)
}

func (c *Conn) failure(r reply.Reply, err error) *Error {
	where := c.cfg.addr()
	if c.cfg.Account != "" {
		where = fmt.Sprintf("account %s (%s)", c.cfg.Account, where)
	}
	return &Error{Reply: r, Err: err, Hint: hint(c.cfg, r, err), where: where}
}
