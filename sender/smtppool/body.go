package smtppool

import (
	"bytes"
	"context"
	"errors"
	"time"

	"broadside/internal/failpoint"
	"broadside/sender/reply"
)

// blockSize is the most that one write of a body takes; each has its own
// deadline (RFC 5321 4.5.3.2.5). Newsletters are smaller: they go in one.
const blockSize = 256 << 10

// An Outcome is what became of a message. Classify of its Reply is right in
// every case; Complete and Written say why.
type Outcome struct {
	Reply reply.Reply
	// Complete reports whether the last byte of the final CRLF.CRLF was handed
	// to the kernel. When it was not, the server cannot have the message.
	Complete bool
	// Written counts the bytes of the message, as it goes over the wire, that
	// were handed to the kernel. 0: not one has left.
	Written int
	// Ahead reports that the next message's envelope is on its way too: Answer
	// must follow. The Reply is final only then: see Desync.
	Ahead bool
	// Apart reports that Answer would send the next message's envelope. The Reply
	// is final with its answer; without one it stands as it is.
	Apart bool
}

// Body sends the message after Envelope has returned nil, and waits for the
// reply. The message has lines that end in CRLF; dots are doubled here. A bare
// CR or LF is refused (reply.LocalMessage).
//
// The end of ctx interrupts also the wait for the final reply, which makes the
// message uncertain: pass a context that outlives a shutdown.
//
// Unless the server answered, and not with a 421, the connection is closed
// hard when Body returns. Confirm tells whether the reply was that of the
// message.
func (c *Conn) Body(ctx context.Context, msg []byte) Outcome {
	return c.finish(c.body(ctx, msg, nil))
}

// finish closes a connection that has no future.
func (c *Conn) finish(out Outcome) Outcome {
	if c.broken {
		c.Abort()
	}
	return out
}

func (c *Conn) body(ctx context.Context, msg []byte, next *Next) Outcome {
	early := func(name, why string) Outcome {
		c.broken = true
		return Outcome{Reply: reply.Lost(reply.Data, name, why)}
	}
	switch {
	case c.broken || !c.inData:
		return early(reply.ConnReset, "the connection is not open for a message")
	case ctx.Err() != nil:
		return early(reply.Cancelled, "interrupted")
	case !c.quiet():
		return Outcome{Reply: *c.unasked(reply.Data)}
	}

	c.inData = false
	c.apart = false
	wire, ok := stuff(c.buf[:0], msg)
	c.buf = wire
	if !ok {
		return early(reply.LocalMessage, "5.6.0 the message has a bare CR or LF")
	}

	size := len(wire)
	if next != nil {
		c.transactions++
		c.commands(wire, next.From, next.To, next.Size)
		c.ahead = true
		c.needReset = true
	}

	c.watchOn(ctx)
	n, err := c.writeBlocks(c.buf)
	switch {
	case errors.Is(err, errEarly):
		c.lost(reply.Data, errEarly, false)
		return Outcome{Reply: *event(reply.Dot, reply.BadReply, errEarly.Error()), Written: min(n, size)}
	case err != nil && n < size:
		return Outcome{Reply: *c.unfinished(err), Written: n}
	}

	failpoint.Hit(failpoint.AfterDot)
	if c.ahead && c.steps.holds.Load() {
		quickAck(c.raw)
	}

	final := c.final()
	c.broken = c.broken || err != nil // the envelope did not go, or not wholly
	failpoint.Hit(failpoint.AfterReply)
	switch {
	case c.ahead && c.outOfStep(*final): // it has not taken the message either
		c.broken = true
		c.pipeliningFault = final.String()
		return Outcome{Reply: reply.Lost(reply.Mail, reply.IdleClosed, final.String()), Written: min(n, size)}
	case c.ahead && c.broken && c.trial:
		c.pipeliningFault = final.String() // this server has never been seen to follow
	}

	return Outcome{Reply: *final, Complete: true, Written: min(n, size), Ahead: c.ahead}
}

// errEarly ends a body that the server has answered before it had the whole.
var errEarly = badReply("a reply before the end of the message")

// writeBlocks writes p with a deadline for each block. Between two blocks
// nothing can have been said; the write shows whether the server has closed.
func (c *Conn) writeBlocks(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		if n > 0 && !c.quiet() && c.speaks() {
			return n, errEarly
		}
		c.limit(c.cfg.Timeouts.Block)
		var k int
		k, err = c.write(p[n:min(n+failpoint.Half(min(blockSize, len(p))), len(p))])
		n += k
		if n < len(p) {
			failpoint.Hit(failpoint.InBody)
		}
	}

	return n, err
}

// final reads the reply after the final dot.
func (c *Conn) final() *reply.Reply {
	c.await(c.cfg.Timeouts.Dot)
	code, text, err := c.read()
	if err != nil {
		return c.lost(reply.Dot, err, false)
	}

	r := reply.New(reply.Dot, code, string(text))
	if code < 400 && !completes(code) {
		return c.lost(reply.Dot, badReply("expected a final reply, got "+r.String()), false)
	}

	c.broken = c.broken || code == 421
	return &r
}

// unfinished says why a body was not written to its end. A server that closes
// in the middle has often said why; what it refused counts as its reply to the
// message. About the address nothing can be said so early that counts.
func (c *Conn) unfinished(cause error) *reply.Reply {
	r := c.lost(reply.Data, cause, true)
	if r.Event != reply.ConnReset {
		return r
	}

	c.limit(time.Second) // the connection is down: what there is, is here
	if code, text, err := c.read(); err == nil && code >= 400 {
		said := reply.New(reply.Dot, code, string(text))
		if reply.Classify(said).Verdict == reply.SuppressHard {
			return event(reply.Dot, reply.BadReply, errEarly.Error()+": "+said.String())
		}
		return &said
	}

	return r
}

// stuff appends the message to dst as it goes over the wire: a dot at the
// beginning of a line doubled (RFC 5321 4.5.2), and the terminator. It reports
// whether all line ends are CRLF: a bare one could end the message early for
// some servers, and begin another.
func stuff(dst, msg []byte) ([]byte, bool) {
	lines := 0
	copied := 0
	if len(msg) > 0 && msg[0] == '.' {
		dst = append(dst, '.')
	}

	for at := 0; ; {
		i := bytes.IndexByte(msg[at:], '\n')
		if i < 0 {
			break
		}

		at += i + 1
		if at < 2 || msg[at-2] != '\r' {
			return dst, false
		}

		lines++
		if at < len(msg) && msg[at] == '.' {
			dst = append(append(dst, msg[copied:at]...), '.')
			copied = at
		}
	}

	if bytes.Count(msg, []byte{'\r'}) != lines {
		return dst, false
	}

	dst = append(dst, msg[copied:]...)
	if !bytes.HasSuffix(msg, []byte("\r\n")) {
		dst = append(dst, "\r\n"...)
	}

	return append(dst, ".\r\n"...), true
}
