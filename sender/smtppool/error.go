package smtppool

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"broadside/sender/reply"
)

// An Error says why there is no connection. Classify of its Reply says what
// to do; Hint is for people: what is wrong, and the fix.
type Error struct {
	Reply reply.Reply
	Err   error
	Hint  string

	where string
}

// Error returns account, hint and what was seen.
func (e *Error) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s: %s", e.where, e.Reply)
	}
	return fmt.Sprintf("%s: %s (%s)", e.where, e.Hint, e.Reply)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// What we refuse ourselves.
var (
	errPlaintext  = errors.New("no TLS, and the server is not on loopback")
	errNoStartTLS = errors.New("no STARTTLS in the reply to EHLO")
	errInjected   = errors.New("the server sent data in clear behind its reply to STARTTLS")
	errNoAuth     = errors.New("no AUTH in the reply to EHLO")
	errNoAuthYet  = errors.New("no AUTH in the reply to EHLO, but STARTTLS")
	errMechanism  = errors.New("no mechanism in common")
	errExchange   = errors.New("the server does not keep to the login")
)

// describe turns an error from the connection or TLS into a Reply.
func (c *Conn) describe(stage reply.Stage, err error) reply.Reply {
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return reply.Lost(stage, reply.TLSCert, err.Error())
	case isTLS(err):
		return reply.Lost(stage, reply.TLSHandshake, err.Error())
	}
	return *c.lost(stage, err, false)
}

// isTLS reports whether the TLS layer gave up for a reason of its own.
func isTLS(err error) bool {
	var header tls.RecordHeaderError
	var op *net.OpError
	if errors.As(err, &header) || errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") {
		return true
	}
	return !isTimeout(err) && strings.Contains(err.Error(), "tls: ")
}

// hint says what is wrong and what to do about it.
func hint(cfg Config, r reply.Reply, err error) string {
	var known interface{ Hint() string } // of an access token
	if errors.As(err, &known) {
		return known.Hint()
	}
	if s := certHint(cfg, err); s != "" {
		return s
	}
	switch r.Event {
	case "":
		return replyHint(cfg, r)
	case reply.ConnRefused:
		return fmt.Sprintf("nothing listens there: check host and port (usually 587 for starttls, 465 for implicit TLS), and that the server at %s runs", cfg.addr())
	case reply.HostLookup:
		return fmt.Sprintf("no address is known for %q: check the spelling of host, and the name server of this machine", cfg.Host)
	case reply.DialTimeout, reply.Unreachable:
		return "the server cannot be reached: check host and port; many networks block port 25 and some block 587, where 2525 or 465 may be open"
	case reply.TLSMissing:
		return fmt.Sprintf("the server does not offer STARTTLS, and neither the mail nor the password goes over the network in clear: use the port for it (usually 587), or tls: implicit with port 465; if it should offer STARTTLS, something between here and %s strips it", cfg.Host)
	case reply.TLSHandshake:
		return handshakeHint(cfg, err)
	case reply.Setup:
		return setupHint(cfg, err)
	case reply.ReadTimeout, reply.EOF, reply.BadReply:
		if r.Stage == reply.Connect && cfg.TLS != TLSImplicit {
			return "no SMTP greeting: if this port speaks TLS from the first byte (usually 465), set tls: implicit; otherwise check host and port"
		}
	}
	return ""
}

// certHint explains why the certificate does not verify.
func certHint(cfg Config, err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the server's certificate is valid from %s to %s, which is not now: renew it on the server, or check this machine's clock",
			invalid.Cert.NotBefore.UTC().Format("2006-01-02"), invalid.Cert.NotAfter.UTC().Format("2006-01-02"))
	case errors.As(err, &unknown):
		return "the server's certificate is signed by an authority that this machine does not know: set ca_file to the PEM file of that authority"
	case errors.As(err, &name):
		names := strings.Join(name.Certificate.DNSNames, ", ")
		if names == "" {
			names = "no host name at all"
		}
		return fmt.Sprintf("the server's certificate is not for %s: it names %s; set host to a name that the certificate has", name.Host, names)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Sprintf("the certificate of %s does not verify: it has to be replaced on the server", cfg.Host)
	}
	return ""
}

func handshakeHint(cfg Config, err error) string {
	var header tls.RecordHeaderError
	switch {
	case errors.Is(err, errInjected):
		return "somebody on the way, or a broken server, put data in front of the TLS session: nothing was sent; tell the operator of the server"
	case errors.As(err, &header) && cfg.TLS == TLSImplicit:
		return "the server does not begin with TLS on this port: set tls: starttls (usually port 587), or use port 465"
	case strings.Contains(err.Error(), "protocol version"):
		return "the server speaks no TLS version from 1.2 on: it has to be updated"
	}
	return "TLS could not be agreed with the server: check port and tls"
}

func setupHint(cfg Config, err error) string {
	switch {
	case errors.Is(err, errPlaintext):
		return fmt.Sprintf("tls: none would send mail and password in clear to %s: set tls: starttls or implicit, or allow_plaintext: true if the network is your own", cfg.Host)
	case errors.Is(err, errNoAuthYet):
		return "the server offers no login before TLS: set tls: starttls"
	case errors.Is(err, errNoAuth):
		return "the server offers no login here: remove username and password, or use its submission port (usually 587 or 465)"
	case errors.Is(err, errMechanism):
		return "the server and the account have no login mechanism in common: set auth to one that the server offers, or to auto"
	case errors.Is(err, errExchange):
		return "the login came to no end: set auth to another mechanism that the server offers, and tell its operator"
	}
	return err.Error()
}

// replyHint explains what a server said no to.
func replyHint(cfg Config, r reply.Reply) string {
	switch {
	case r.Stage == reply.Auth:
		return "the server could not check the login just now"
	case r.Stage == reply.Connect && r.Code >= 500:
		return "the server takes no mail from here: this machine's address may not be allowed, or the host is not the submission server"
	case r.Stage == reply.Ehlo && r.Code >= 500:
		return fmt.Sprintf("the server does not like how we name ourselves (%s): set helo to a host name with a domain", cfg.Helo)
	case r.Code >= 400 && r.Code < 500:
		return "the server takes no connection just now"
	}
	return ""
}
