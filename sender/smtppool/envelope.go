package smtppool

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"broadside/internal/failpoint"
	"broadside/sender/reply"
)

// Envelope opens a transaction for one recipient: MAIL, RCPT and DATA, in one
// write where the server offers PIPELINING (RFC 2920). It returns nil when the
// server said 354: Body or Abort must follow. Otherwise it returns the reply
// that refused, or the event that came instead, and no byte of a message was
// sent. The connection then stays Usable unless the reply was a 421 or the
// dialogue broke.
//
// size is the length of the message in bytes if it is known, else 0. A message
// larger than the server's SIZE, an address that needs SMTPUTF8 where it is
// not offered, and an address that cannot stand in a command are refused here,
// with an event of their own (reply.LocalSize, ...) and the code that a server
// would use; nothing is sent then.
func (c *Conn) Envelope(ctx context.Context, from, to string, size int) *reply.Reply {
	if c.broken || c.inData || c.ahead {
		c.broken = true
		return event(reply.Mail, reply.ConnReset, "the connection is closed or inside another message")
	}

	if r := c.refuse(from, to, size); r != nil {
		return r
	}
	if ctx.Err() != nil {
		return event(reply.Mail, reply.Cancelled, "interrupted")
	}
	defer c.watch(ctx)()
	c.transactions++
	if !c.quiet() {
		return c.unasked(reply.Mail)
	}

	mail, rcpt := c.commands(c.buf[:0], from, to, size)
	began := time.Now()
	var r *reply.Reply
	if c.pipelines() {
		r = c.pipelined()
	} else {
		r = c.oneByOne(mail, rcpt)
	}

	c.steps.alone(to, r, began)
	return r
}

func event(stage reply.Stage, name, why string) *reply.Reply {
	r := reply.Lost(stage, name, why)
	return &r
}

func (c *Conn) pipelines() bool { return c.info.Pipelining && c.cfg.Pipelining != PipeliningOff }

// refuse returns the reply of our own for what need not be tried.
func (c *Conn) refuse(from, to string, size int) *reply.Reply {
	local := func(stage reply.Stage, name string, code int, text string) *reply.Reply {
		r := reply.New(stage, code, text)
		r.Event = name
		return &r
	}
	switch {
	case !fits(from):
		return local(reply.Mail, reply.LocalAddress, 553, "5.1.7 the sender's address cannot stand in a command")
	case !fits(to) || to == "":
		return local(reply.Rcpt, reply.LocalAddress, 553, "5.1.3 the address cannot stand in a command")
	case !c.info.SMTPUTF8 && (!ascii(from) || !ascii(to)):
		return local(reply.Mail, reply.LocalSMTPUTF8, 553, "5.6.7 the server does not offer SMTPUTF8, which this address needs")
	case c.info.Size > 0 && int64(size) > c.info.Size:
		return local(reply.Mail, reply.LocalSize, 552, fmt.Sprintf("5.3.4 the message has %d bytes, the server takes %d", size, c.info.Size))
	}

	return nil
}

// fits reports whether an address can stand between < and > as it is: no
// control characters, and blanks and angle brackets only in quotes.
func fits(addr string) bool {
	quoted := false
	for i := 0; i < len(addr); i++ {
		switch b := addr[i]; {
		case b < ' ' || b == 0x7f:
			return false
		case quoted && b == '\\':
			i++ // the next one is taken as it is
			if i == len(addr) || addr[i] < ' ' {
				return false
			}
		case b == '"':
			quoted = !quoted
		case !quoted && (b == ' ' || b == '<' || b == '>'):
			return false
		}
	}

	return !quoted && len(addr) <= 400
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// commands puts the transaction's commands behind b, which is c.buf from then
// on, and returns where MAIL (after a RSET, if one is needed) and RCPT end in it.
func (c *Conn) commands(b []byte, from, to string, size int) (mail, rcpt int) {
	c.before = c.to
	c.from = from
	c.to = to
	if c.needReset {
		b = append(b, "RSET\r\n"...)
	}

	b = append(append(append(b, "MAIL FROM:<"...), from...), '>')
	if c.info.HasSize && size > 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), int64(size), 10)
	}
	if !ascii(from) || !ascii(to) {
		b = append(b, " SMTPUTF8"...)
	}

	b = append(b, "\r\n"...)
	mail = len(b)
	b = append(append(append(b, "RCPT TO:<"...), to...), ">\r\n"...)
	rcpt = len(b)
	c.buf = append(b, "DATA\r\n"...)

	return mail, rcpt
}

// oneByOne sends the commands of c.buf and waits for each reply.
func (c *Conn) oneByOne(mail, rcpt int) *reply.Reply {
	start := 0
	if c.needReset {
		start = len("RSET\r\n")
		if r := c.send(reply.Mail, c.buf[:start]); r != nil {
			return r
		}
		if r := c.reset(); r != nil {
			return r
		}
	}

	if r := c.ask(reply.Mail, c.buf[start:mail], 250); r != nil {
		return c.refusedMail(r)
	}

	c.needReset = true
	failpoint.Hit(failpoint.AfterMail)
	refused := c.ask(reply.Rcpt, c.buf[mail:rcpt], 250)
	if refused != nil && (c.broken || refused.Code < 500) {
		return refused
	}

	// DATA goes out after a permanent refusal too: its answer shows whether the
	// refusal was one of RCPT.
	return c.weigh(nil, refused, c.ask(reply.Data, c.buf[rcpt:], 354))
}

// pipelined sends all commands of c.buf at once.
func (c *Conn) pipelined() *reply.Reply {
	resetting := c.needReset
	if r := c.send(reply.Mail, c.buf); r != nil {
		return r
	}

	failpoint.Hit(failpoint.AfterMail)
	quickAck(c.raw)
	if resetting {
		if r := c.reset(); r != nil {
			return r
		}
	}

	c.needReset = true
	r := c.answers()
	if r != nil && c.outOfStep(*r) {
		return c.tooFast(r)
	}

	return r
}

// answers reads the replies to MAIL, RCPT and DATA that were sent at once.
// They come in order; the first refusal is the answer, but each has to be read.
func (c *Conn) answers() *reply.Reply {
	mail := c.expect(reply.Mail, 250)
	if mail != nil && c.broken {
		return mail
	}

	rcpt := c.expect(reply.Rcpt, 250)
	if rcpt != nil && c.broken {
		if mail != nil {
			return mail
		}
		return rcpt
	}

	return c.weigh(mail, rcpt, c.expect(reply.Data, 354))
}

// weigh returns what the replies to MAIL, RCPT and DATA say together: nil when
// a message may follow, else the first refusal. A refusal behind which
// something was accepted, or something was not answered, belongs elsewhere.
func (c *Conn) weigh(mail, rcpt, data *reply.Reply) *reply.Reply {
	refused := mail
	if refused == nil {
		refused = rcpt
	}

	switch {
	case refused == nil && data == nil:
		c.opened()
	case refused == nil:
		return c.refusedData(data)
	case mail != nil && rcpt == nil: // with 354 a dot could deliver
		c.lost(reply.Mail, badReply(refused.String()+", and what came after it was accepted"), false)
	case mail != nil && data != nil && data.Event != "" && data.Event != reply.Cancelled:
		c.lost(reply.Mail, badReply(refused.String()+", and a reply is missing"), false)
	case data == nil:
		c.loneDot()
	}

	if c.desync != "" {
		return c.tooFast(refused)
	}

	return refused
}

// loneDot ends a DATA that was accepted without a recipient (RFC 2920 3.1).
func (c *Conn) loneDot() {
	if c.send(reply.Data, []byte(".\r\n")) != nil {
		return
	}
	c.limit(c.cfg.Timeouts.Data)
	code, _, err := c.read()
	if err != nil || code == 421 || code/100 == 3 {
		c.broken = true
	}
}

// opened notes that the server waits for a message now.
func (c *Conn) opened() { c.inData, c.needReset = true, false }

// reset reads the reply to RSET, which can only be 250 (RFC 5321 4.1.1.5).
func (c *Conn) reset() *reply.Reply {
	r := c.expect(reply.Mail, 250)
	if r == nil {
		c.needReset = false
		return nil
	}

	switch {
	case r.Event != "" || r.Code == 421:
		return r
	case noSuchCommand(r.Code): // a server without RSET: this connection is of no more use
		c.broken = true
		return event(reply.Mail, reply.IdleClosed, "RSET was refused: "+r.String())
	}

	return c.desynchronized(reply.Mail, "RSET was refused: "+r.String())
}

// ask sends one command and expects a reply.
func (c *Conn) ask(stage reply.Stage, command []byte, want int) *reply.Reply {
	if !c.quiet() {
		return c.unasked(stage)
	}
	if r := c.send(stage, command); r != nil {
		return r
	}
	return c.expect(stage, want)
}

// send writes commands; nil means that they are on their way.
func (c *Conn) send(stage reply.Stage, commands []byte) *reply.Reply {
	c.limit(c.stageTimeout(stage))
	if _, err := c.write(commands); err != nil {
		return c.found(c.lost(stage, err, true))
	}
	return nil
}

// expect reads a reply: nil when it is of the class of want (354: exactly).
// A 421 is the end of the connection (RFC 5321 3.8), and so is a reply that
// cannot stand here.
func (c *Conn) expect(stage reply.Stage, want int) *reply.Reply {
	c.await(c.stageTimeout(stage))
	code, text, err := c.read()
	if err != nil {
		return c.found(c.lost(stage, err, false))
	}

	if code == want || want == 250 && completes(code) {
		return nil
	}
	if code < 400 && answersAnother(code) {
		return c.desynchronized(stage, fmt.Sprintf("expected %d, got %d %s", want, code, text))
	}
	if code == 421 || code < 400 {
		c.broken = true
	}

	r := reply.New(stage, code, string(text))
	return &r
}

// answersAnother reports whether a reply that is no refusal, and not the one that is
// due, may be the answer to another of our commands: 2xx, or 354 to DATA. Any other
// is nonsense, but stands in its place: the replies before it keep theirs.
func answersAnother(code int) bool { return code/100 == 2 || code == 354 }

// found tells a connection that was closed between two messages, or lost its
// step, which says nothing about the server, from one that never worked.
func (c *Conn) found(r *reply.Reply) *reply.Reply {
	closed := r.Stage == reply.Mail && (r.Event == reply.EOF || r.Event == reply.ConnReset)
	if c.transactions > 1 && (closed || r.Event == reply.BadReply) {
		r.Stage = reply.Mail
		r.Event = reply.IdleClosed
	}
	return r
}

// completes reports whether a reply says that a command was carried out. 220
// and 221 are of the 2xx too, but begin and end a connection.
func completes(code int) bool { return code/100 == 2 && code != 220 && code != 221 }
