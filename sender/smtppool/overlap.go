package smtppool

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/codes"
	"broadside/internal/failpoint"
	"broadside/sender/reply"
)

const (
	// demotion is how long a server that was found out of step is spoken to
	// with less pipelining.
	demotion = 24 * time.Hour
	// aheadTime is how long the reply to MAIL may take of an envelope that went with
	// the body before it, once that body was answered: a server that has thrown
	// the envelope away never replies.
	aheadTime = time.Minute
	// suspicion is how long nothing is overlapped after an envelope was not
	// answered that had gone ahead, unless it is found out sooner why.
	suspicion = 15 * time.Minute
	// stall is how long the replies to an envelope may come after that to the
	// body before it until we take it that the server waits for our
	// acknowledgement (40 ms on Linux).
	stall = 25 * time.Millisecond
)

// A Next is the envelope of the message after the one whose body is sent.
type Next struct {
	From, To string
	Size     int  // as for Envelope
	Apart    bool // it goes by itself when the body was answered
}

// BodyAhead is Body with the next message's envelope in the same write (RFC
// 2920 3.1 allows any command after the final dot): a message then costs one
// round trip. When Outcome.Ahead is true, Answer must follow; else the envelope
// was not sent, because the connection does not overlap or is at its end, or
// because the envelope is one that Envelope would refuse.
//
// An envelope that is to go Apart waits for the reply to the body. Answer then
// sends it, or does not follow; the answer shows all the same whether the reply
// was that of the body.
func (c *Conn) BodyAhead(ctx context.Context, msg []byte, next Next) Outcome {
	switch {
	case c.refuse(next.From, next.To, next.Size) != nil:
	case next.Apart && c.Goes():
		out := c.finish(c.body(ctx, msg, nil))
		c.next = next
		c.apart = !c.broken
		out.Apart = c.apart
		return out
	case !next.Apart && c.Overlaps():
		return c.finish(c.body(ctx, msg, &next))
	}

	return c.Body(ctx, msg)
}

// Answer waits for the replies to an envelope that went with the body before
// it, or sends it when it is to go apart. Its result is that of Envelope.
func (c *Conn) Answer(ctx context.Context) *reply.Reply {
	if c.apart {
		c.apart = false
		return c.Envelope(ctx, c.next.From, c.next.To, c.next.Size)
	}

	if !c.ahead {
		return event(reply.Mail, reply.ConnReset, "no envelope is under way")
	}
	defer func() { c.ahead = false }()
	if c.broken {
		return event(reply.Mail, reply.IdleClosed, "the connection ended with the message before")
	}
	defer c.watch(ctx)()
	failpoint.Hit(failpoint.AfterMail)
	here := c.answered()
	began := time.Now()
	r := c.answers()
	if !here && time.Since(began) > stall {
		c.steps.holds.Store(true)
	}

	out := c.broken && (c.pipeliningFault != "" || r != nil && r.Event == reply.IdleClosed && c.trial)
	if r != nil && (c.outOfStep(*r) || r.Code == 503) { // bad sequence of commands
		out = true
	}

	switch {
	case out:
		return c.tooFast(r)
	case r != nil && r.Event == reply.ReadTimeout:
		return c.silent(r)
	case !c.broken:
		c.steps.proved(c)
	case r != nil:
		c.steps.ended(c)
	}

	return r
}

// answered reports whether all that Answer waits for is here already: the
// replies to MAIL, RCPT and DATA. The first may come long before the second.
func (c *Conn) answered() bool {
	replies := 0
	for here, _ := c.r.Peek(c.r.Buffered()); len(here) > 0; {
		line, rest, whole := bytes.Cut(here, []byte{'\n'})
		if whole && (len(line) < 4 || line[3] != '-') {
			replies++
		}
		here = rest
	}
	return replies >= 3
}

// Alive reports whether the connection has not ended.
func (c *Conn) Alive() bool { return !c.broken }

// tooFast ends a connection whose server did not follow: our pipelining has
// failed, not the recipient. A connection with less of it may try at once.
func (c *Conn) tooFast(r *reply.Reply) *reply.Reply {
	c.broken = true
	c.pipeliningFault = r.String()
	return event(reply.Mail, reply.IdleClosed, "the server did not follow: "+r.String())
}

// silent ends a connection whose server did not answer in time what had gone
// ahead: it is slow, or has thrown the envelope away. The same one by itself, at
// once, tells which.
func (c *Conn) silent(r *reply.Reply) *reply.Reply {
	c.steps.suspect(c.to)
	return event(reply.Mail, reply.IdleClosed, "the server did not answer what went ahead: "+r.String())
}

// outOfStep reports whether a reply says that the server does not want several
// commands at once, as exim ("SMTP synchronization error") and OpenSMTPD
// ("Pipelining not supported") do. People and domains have such names too: a
// reply about them is none.
func (c *Conn) outOfStep(r reply.Reply) bool {
	if r.Event != "" || r.Code < 500 || r.Enhanced != "" && !strings.HasPrefix(r.Enhanced, "5.5.") {
		return false
	}
	for _, word := range []string{"pipelin", "synchroni"} {
		if strings.Contains(strings.ToLower(r.Text), word) && !strings.Contains(strings.ToLower(c.from+c.to+c.before), word) {
			return true
		}
	}
	return false
}

// Overlaps reports whether BodyAhead may send the next envelope on this
// connection: overlap is allowed and offered, no pipelining fault has come up, and the
// connection's limits allow another message.
func (c *Conn) Overlaps() bool {
	return c.info.Pipelining && c.cfg.Pipelining == PipeliningAuto && !c.broken && c.pipeliningFault == "" && c.young()
}

// Goes reports whether the connection may carry another message when the one
// under way is done.
func (c *Conn) Goes() bool { return !c.broken && c.pipeliningFault == "" && c.young() }

// young reports whether the connection's limits allow another message.
func (c *Conn) young() bool {
	return !c.retired && c.transactions < min(c.cfg.MaxMessages, c.steps.limit()) && time.Since(c.born) < c.cfg.MaxAge
}

// steps is what a Pool has found out about how its server follows pipelining.
// Overlap is tried on one connection first: should the server not follow,
// one message is uncertain at most.
type steps struct {
	log   *slog.Logger
	holds atomic.Bool // replies are held back until we acknowledge the one before

	mu       sync.Mutex
	mode     string    // less than the configured one, until then
	until    time.Time // of mode
	trial    *Conn     // that tries overlap; nil: none
	overlaps bool      // it has been seen to work
	silentTo string    // recipient of an envelope that went ahead and was not answered; empty: none
	silentAt time.Time // when that was given up
	last     int       // messages of the connection that the server ended last
	lastAt   time.Time // when that was
	most     int       // that the server takes on one connection; 0: not known
	mostTill time.Time
}

// cap returns the pipelining that a new connection may use.
func (s *steps) cap(configured string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != "" && time.Now().Before(s.until) {
		return s.mode
	}
	s.mode = ""
	return configured
}

// demote takes a step back after a pipelining fault on a connection with that mode, and
// says so when this is news.
func (s *steps) demote(mode, fault string) {
	now := PipeliningOff
	if mode == PipeliningAuto {
		now = PipeliningEnvelope
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) && (s.mode == now || s.mode == PipeliningOff) {
		return
	}

	s.mode = now
	s.until = time.Now().Add(demotion)
	s.overlaps = false
	s.silentTo = ""
	s.log.Warn("less pipelining from now on", "pipelining", now, "for", demotion.String(),
		"reason", codes.AccountPipelining.Reason("the server does not follow: %s", address.Redact(fault)))
}

// may reports whether c may overlap: it is the one that tries, or another has
// shown that it works.
func (s *steps) may(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != "" && time.Now().Before(s.until) || s.suspects() {
		return false
	}

	if !s.overlaps && s.trial == nil {
		s.trial = c
		c.trial = true
	}

	return s.overlaps || s.trial == c
}

// suspect notes that an envelope which had gone ahead was not answered in time.
func (s *steps) suspect(to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.suspects() {
		s.silentTo = to
		s.silentAt = time.Now()
	}
}

// suspects reports whether it is open why such an envelope was not answered.
// The caller holds mu.
func (s *steps) suspects() bool {
	return s.silentTo != "" && time.Since(s.silentAt) < suspicion
}

// alone notes how an envelope fared that went by itself and was begun then. One
// that was not answered when it went ahead, and is at once now, had been thrown
// away: that is a pipelining fault. If it takes long again, the server is only slow.
func (s *steps) alone(to string, r *reply.Reply, began time.Time) {
	s.mu.Lock()
	slow := time.Since(began) >= aheadTime || r != nil && r.Event == reply.ReadTimeout
	mine := s.suspects() && s.silentTo == to && !began.Before(s.silentAt)
	if mine && slow {
		s.silentTo = ""
	}

	s.mu.Unlock()
	if mine && !slow && (r == nil || r.Event == "") {
		s.demote(PipeliningAuto, "no answer to an envelope that went ahead, and at once to the same by itself")
	}
}

// proved notes that an overlapped envelope was answered as it should be.
func (s *steps) proved(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trial == c {
		s.trial = nil
		s.overlaps = true
	}
	c.trial = false
}

// rest ends the trial of a connection that is not in use any more.
func (s *steps) rest(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trial == c {
		s.trial = nil
	}
	c.trial = false
}

// ended notes that the server ended c where its next message was expected. When
// that comes after the same number of messages on two connections, of which the
// second was opened after the first had ended (a restart ends many at once), it
// is taken for a limit: the last message before it then goes without a
// following envelope.
func (s *steps) ended(c *Conn) {
	n := c.transactions - 1
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && n == s.last && !c.born.Before(s.lastAt) {
		s.most = n
		s.mostTill = time.Now().Add(demotion)
	}
	s.last = n
	s.lastAt = time.Now()
}

// learn takes over how many messages a connection may carry, as long as it is
// known; 0 is no limit.
func (s *steps) learn(most int, till time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 && (s.most == 0 || !time.Now().Before(s.mostTill)) {
		s.most, s.mostTill = most, till
	}
}

// learnt returns what ended has found out; 0 without it.
func (s *steps) learnt() (most int, till time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !time.Now().Before(s.mostTill) {
		return 0, time.Time{}
	}
	return s.most, s.mostTill
}

// limit returns how many messages a connection may carry.
func (s *steps) limit() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.most == 0 || time.Now().After(s.mostTill) {
		return 1 << 30
	}
	return s.most
}
