package smtppool

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"broadside/sender/reply"
)

const (
	maxUnanswered = 64 << 10      // bytes of the server between two writes of ours
	maxReplyText  = reply.MaxRead // bytes of a reply that are looked at
)

// errFlood ends a connection whose server talks without end.
var errFlood = badReply("the server sent more than 64 KiB without being asked")

// A badReply is an answer that is none of SMTP, or cannot stand where it does.
type badReply string

func (b badReply) Error() string { return string(b) }

// A cappedConn fails a read once the server has sent maxUnanswered bytes since
// the last write. It lies below TLS, so that no layer above can be made to collect
// an endless reply.
type cappedConn struct {
	net.Conn
	unanswered int
}

func (c *cappedConn) Read(p []byte) (int, error) {
	if c.unanswered >= maxUnanswered {
		return 0, errFlood
	}
	n, err := c.Conn.Read(p)
	c.unanswered += n
	return n, err
}

func (c *cappedConn) Write(p []byte) (int, error) {
	c.unanswered = 0
	return c.Conn.Write(p)
}

// longAgo is a deadline that ends whatever is under way.
var longAgo = time.Unix(1, 0)

// watch lets the end of ctx interrupt what is done on the connection until
// the returned function is called.
func (c *Conn) watch(ctx context.Context) (unwatch func()) {
	if ctx.Done() == nil || ctx == c.hard {
		return func() {}
	}

	c.mu.Lock()
	op := c.op
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.op == op {
			c.stop(ctx)
		}
	})

	return func() {
		stop()
		c.mu.Lock()
		c.op++
		if c.hard == nil || c.hard.Err() == nil {
			c.stopped = nil
		}
		c.mu.Unlock()
	}
}

// watchOn is watch for as long as the connection lasts, or until it is called
// with another context: a worker sends one message after the other under the
// same one.
func (c *Conn) watchOn(ctx context.Context) {
	if ctx == c.hard {
		return
	}

	c.unwatch()
	c.mu.Lock()
	c.hard = ctx
	c.stopped = nil
	c.mu.Unlock()
	end := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.hard == ctx {
			c.stop(ctx)
		}
	})
	c.unwatch = func() {
		end()
		c.mu.Lock()
		c.hard = nil
		c.stopped = nil
		c.mu.Unlock()
	}
}

// stop interrupts what is under way. The caller holds mu.
func (c *Conn) stop(ctx context.Context) {
	c.stopped = ctx.Err()
	_ = c.raw.SetDeadline(longAgo) // fails only on a closed connection
}

// limit sets the deadline of a stage, unless the operation was interrupted.
func (c *Conn) limit(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	until := time.Now().Add(d)
	if c.stopped != nil {
		until = longAgo
	}
	_ = c.raw.SetDeadline(until) // fails only on a closed connection, as the next read or write will
}

// await sets the deadline of a stage, unless its reply is here already: whole
// lines that came with the one before. Should they be but its beginning, the
// deadline before this one ends the wait for the rest.
func (c *Conn) await(d time.Duration) {
	if here, _ := c.r.Peek(c.r.Buffered()); len(here) > 0 && here[len(here)-1] == '\n' {
		return
	}
	c.limit(d)
}

// interrupted returns why the operation was interrupted; nil if it was not.
func (c *Conn) interrupted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// write hands p to the kernel and returns how many of its bytes went.
func (c *Conn) write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err == nil {
		err = c.w.Flush()
	}
	if err != nil {
		n -= c.w.Buffered()
	}
	return n, err
}

// read returns the next reply; text, its lines joined by a blank, is valid
// until the next call.
func (c *Conn) read() (code int, text []byte, err error) {
	code, c.text, err = readReply(c.r, c.text[:0], ' ')
	return code, c.text, err
}

// readReply reads one reply (RFC 5321 4.2.1) and appends its text to buf, its
// lines joined by between. The size of r's buffer is the limit of a line.
func readReply(r *bufio.Reader, buf []byte, between byte) (code int, text []byte, err error) {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return 0, buf, badReply(fmt.Sprintf("a reply line of more than %d bytes", r.Size()))
		}

		if err != nil {
			if len(line) > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, buf, err
		}

		n, more, rest, ok := splitLine(line)
		if !ok || !first && n != code {
			return 0, buf, badReply(fmt.Sprintf("expected an SMTP reply, got %q", line[:min(len(line), 80)]))
		}

		code = n
		if !first && len(buf) < maxReplyText {
			buf = append(buf, between)
		}
		buf = append(buf, rest[:min(len(rest), maxReplyText-min(len(buf), maxReplyText))]...)
		if !more {
			return code, buf, nil
		}
	}
}

// splitLine takes a reply line apart: code, whether another line follows, text.
func splitLine(line []byte) (code int, more bool, text []byte, ok bool) {
	line = line[:len(line)-1] // the LF
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, false, nil, false
	}

	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, false, nil, true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, nil, false
	}

	return code, line[3] == '-', line[4:], true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// lost describes an error of the connection and marks it as broken.
func (c *Conn) lost(stage reply.Stage, err error, writing bool) *reply.Reply {
	c.broken = true
	r := reply.Lost(stage, eventOf(err, writing), err.Error())
	if errors.Is(c.interrupted(), context.Canceled) && isTimeout(err) {
		r = reply.Lost(stage, reply.Cancelled, "interrupted")
	}

	if r.Event == reply.BadReply {
		c.pipeliningFault = cmp.Or(c.pipeliningFault, r.String())
		c.desync = cmp.Or(c.desync, r.Text)
	}

	return &r
}

// eventOf names the condition behind an error of an open connection.
func eventOf(err error, writing bool) string {
	var bad badReply
	switch {
	case errors.As(err, &bad):
		return reply.BadReply
	case isTimeout(err) && writing:
		return reply.WriteTimeout
	case isTimeout(err):
		return reply.ReadTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return reply.EOF
	}

	return reply.ConnReset
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// dialEvent names the condition behind an error of dialling.
func dialEvent(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return reply.HostLookup
	case errors.Is(err, context.Canceled):
		return reply.Cancelled
	case isTimeout(err):
		return reply.DialTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return reply.ConnRefused
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), strings.Contains(err.Error(), "no route to host"):
		return reply.Unreachable
	}

	return reply.ConnReset
}
