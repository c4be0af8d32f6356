package smtppool

import (
	"context"
	"fmt"
	"time"

	"broadside/sender/reply"
)

// Replies carry no mark of the command that they answer: only their order
// tells. One reply too many or too few moves all that follow, and the refusal of
// one recipient is then read as that of another. So a connection looks at the
// socket where nothing can have been said yet, and an outcome is final only
// when a reply behind it has stood where it alone can stand: 354 to DATA, 221
// to QUIT.

// recordTime is how long the rest of a TLS record may take whose beginning is
// here already.
const recordTime = 10 * time.Millisecond

// Desync returns why the server's replies cannot be assigned to our commands any
// more, or "" as long as they can. What the last message was answered is then
// unknown, unless an envelope behind it was answered with 354 before.
func (c *Conn) Desync() string { return c.desync }

// quiet reports whether the server has said nothing that was not read yet, and
// has not closed the connection.
func (c *Conn) quiet() bool {
	if c.r.Buffered() > 0 {
		return false
	}

	secure := c.tls != nil
	if secure && c.tlsReadable(0) {
		return false // the TLS layer had it already
	}

	c.limit(time.Second) // a deadline that has passed would end the look
	if !readable(c.raw) {
		return true
	}

	return secure && !c.tlsReadable(recordTime) // a session ticket is no reply
}

// tlsReadable reports whether something, or the end of the connection, comes through
// TLS within d. A read that runs into its deadline leaves a TLS session intact.
func (c *Conn) tlsReadable(d time.Duration) bool {
	c.limit(d)
	_, err := c.r.Peek(1)
	return err == nil || !isTimeout(err)
}

// unasked handles what the server said before it was asked: perhaps a 421.
func (c *Conn) unasked(stage reply.Stage) *reply.Reply {
	c.limit(c.cfg.Timeouts.Quit)
	code, text, err := c.read()
	switch {
	case err != nil:
		return c.found(c.lost(stage, err, false))
	case code == 421:
		c.broken = true
		r := reply.New(stage, code, string(text))
		return &r
	}

	return c.desynchronized(stage, fmt.Sprintf("a reply to no command: %d %s", code, text))
}

// desynchronized ends a connection whose replies cannot be assigned to our commands any
// more. If it has carried a message before, only this connection is at fault, and
// another one may be tried at once.
func (c *Conn) desynchronized(stage reply.Stage, why string) *reply.Reply {
	return c.found(c.lost(stage, badReply(why), false))
}

// speaks reports whether something was said, and not only the connection ended.
func (c *Conn) speaks() bool {
	c.limit(recordTime)
	_, err := c.r.Peek(1)
	return err == nil
}

// Confirm makes sure that the reply to a message is its own, when no envelope
// follows whose answer would show it, and returns the Outcome that is final.
// Another reply behind an acceptance could be the refusal: RSET finds it. A refusal
// is taken back by a 250 alone, and of all commands outside a message only QUIT
// cannot be answered with one: it costs the connection. Silence is no sign of
// anything.
func (c *Conn) Confirm(ctx context.Context, out Outcome) Outcome {
	if c.broken || !out.Complete || out.Reply.Event != "" {
		return out
	}
	defer c.watch(ctx)()
	return c.finish(c.confirm(out))
}

func (c *Conn) confirm(out Outcome) Outcome {
	command := "RSET\r\n"
	if !out.Reply.OK() {
		command = "QUIT\r\n"
		defer func() { c.broken = true }()
	}

	c.limit(c.cfg.Timeouts.Quit)
	if _, err := c.write([]byte(command)); err != nil {
		c.broken = true
		return out
	}

	code, text, err := c.read()
	switch {
	case err != nil:
		c.lost(reply.Dot, err, false)
	case !out.Reply.OK() && (code == 221 || code >= 400):
	case out.Reply.OK() && (code == 250 || noSuchCommand(code)):
	case code == 421:
		c.broken = true
	default:
		c.lost(reply.Dot, badReply(fmt.Sprintf("the message was answered twice: %s, then %d %s", out.Reply, code, text)), false)
	}

	if c.desync != "" {
		out.Reply = *event(reply.Dot, reply.BadReply, c.desync)
	}

	return out
}

// noSuchCommand reports whether a reply says that the server does not know the
// command (RFC 5321 4.2.4), and so that it answers it.
func noSuchCommand(code int) bool { return code == 500 || code == 502 }

// refusedMail makes sure that a refusal of MAIL is one where nothing else was
// sent with it: behind a message it could be a late reply to that. Then the reply
// to MAIL still comes, where QUIT is answered with 221.
func (c *Conn) refusedMail(mail *reply.Reply) *reply.Reply {
	if c.broken || c.transactions == 1 {
		return mail
	}

	c.limit(c.cfg.Timeouts.Quit)
	if _, err := c.write([]byte("QUIT\r\n")); err == nil {
		code, _, err := c.read()
		if err == nil && code < 400 && code != 221 {
			return c.desynchronized(reply.Mail, fmt.Sprintf("%s, and %d to QUIT", mail, code))
		}
	}

	c.broken = true
	return mail
}

// refusedData makes sure that a permanent refusal of DATA is one: had it been
// meant for something before, the 354 would still come, and the server would take
// what follows for a message. RSET, which is due in any case, is answered
// with 250 if all is well.
func (c *Conn) refusedData(data *reply.Reply) *reply.Reply {
	if c.broken || data.Code < 500 || data.Code == 503 || c.outOfStep(*data) {
		return data
	}
	if r := c.send(reply.Data, []byte("RSET\r\n")); r != nil {
		return data
	}
	if r := c.reset(); r != nil && c.desync != "" {
		return r
	}

	return data
}
