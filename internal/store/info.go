package store

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// ErrUnreachable: there is no answer from Redis, or it refuses the login.
var ErrUnreachable = errors.New("redis is not reachable")

// answerWithin is how long Open waits for a server, one that still loads its
// data included.
const answerWithin = 5 * time.Second

// unreachableError says where we looked and what to do. It is ErrUnreachable.
type unreachableError struct {
	addr, what string
	err        error
	fix        string
}

// Error returns one line.
func (e *unreachableError) Error() string {
	return fmt.Sprintf("redis at %s %s: %v; %s", e.addr, e.what, e.err, e.fix)
}

// Unwrap makes the error both ErrUnreachable and its cause.
func (e *unreachableError) Unwrap() []error { return []error{ErrUnreachable, e.err} }

// readInfo waits for the server and returns what INFO says.
func readInfo(ctx context.Context, c informer, s *server) (map[string]string, error) {
	wait, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var loading error // what it said when it last answered
	for {
		text, err := c.Info(wait).Result()
		if err == nil {
			return parseInfo(text), nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to redis at %s: %w", s.addr, context.Cause(ctx))
		}
		switch {
		case strings.HasPrefix(err.Error(), "LOADING"):
			loading = err
		case loading == nil || wait.Err() == nil && !timedOut(err):
			return nil, unreachable(s, err)
		}
		select {
		case <-wait.Done():
			return nil, &unreachableError{s.addr, "is still loading its data", loading, "try again when it is ready"}
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// timedOut reports whether err is a deadline that passed, perhaps before its
// context says so.
func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// unreachable tells the causes apart that need different hands.
func unreachable(s *server, err error) error {
	e := &unreachableError{s.addr, "is not reachable", err, "start it there, or set redis_url (or REDIS_URL) to where it runs"}
	var certificate *tls.CertificateVerificationError
	text := err.Error()
	switch {
	case errors.As(err, &certificate):
		e.what = "shows a certificate that cannot be verified"
		e.fix = "check the host in redis_url; a provider with self-signed certificates needs redis.tls_insecure: true"
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "NOAUTH"), strings.Contains(text, "AUTH <password>"), strings.Contains(text, "invalid password"):
		e.what = "refuses the login"
		e.fix = "set user and password in redis_url (or REDIS_URL): redis://user:password@host:6379/0"
	case strings.Contains(text, "NOPERM"):
		e.what = "refuses INFO, which is needed to know whether it was restarted"
		e.fix = "allow it to this user: ACL SETUSER ... +info"
	case timedOut(err):
		e.what = "does not answer in time"
		e.fix = s.otherTLS(e.fix)
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(text, "tls: "):
		e.what = "closes the connection"
		e.fix = s.otherTLS(e.fix)
	}
	return e
}

// otherTLS adds what a server does to a client that speaks TLS and should not,
// or the other way round: it waits for ever, or hangs up.
func (s *server) otherTLS(fix string) string {
	if s.tls {
		return fix + "; rediss:// means TLS: does the server speak it on this port?"
	}
	return fix + "; does the server want TLS? then write rediss://"
}

func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok {
			info[key] = value
		}
	}
	return info
}
