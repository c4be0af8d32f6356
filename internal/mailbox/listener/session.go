package listener

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"broadside/campaign"
	"broadside/internal/mailbox"
)

// source is where messages come from, for the sink.
const source = "feedback.listen"

// A session takes the messages of one connection. go-smtp uses it from one goroutine at
// a time.
type session struct {
	listener *Listener
	ctx      context.Context // of the connection: go-smtp hands none on
	from     string
	to       []string
}

func reply(code int, enhanced smtp.EnhancedCode, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
}

// Mail begins a message.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.listener.rate.take(time.Now()) {
		return reply(451, smtp.EnhancedCode{4, 7, 1}, "Too many messages, try again later")
	}
	s.from = from
	return nil
}

// Rcpt takes recipients of the domain of the return paths.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	_, name, found := strings.Cut(to, "@")
	domain, ok := campaign.Domain(name)
	if !found || !ok || domain != s.listener.domain {
		return reply(550, smtp.EnhancedCode{5, 7, 1}, "Only mail to "+s.listener.domain+" is taken here")
	}
	s.to = append(s.to, to)
	return nil
}

// Data receives the message and hands it over. LMTP has the same answer for each
// recipient.
func (s *session) Data(r io.Reader) error {
	full := time.NewTimer(time.Minute)
	defer full.Stop()
	select {
	case s.listener.messages <- struct{}{}:
		defer func() { <-s.listener.messages }()
	case <-full.C:
		return reply(451, smtp.EnhancedCode{4, 3, 2}, "Too many messages at once, try again later")
	case <-s.ctx.Done():
		return reply(421, smtp.EnhancedCode{4, 3, 2}, "The service is ending, try again later")
	}

	var message bytes.Buffer
	fmt.Fprintf(&message, "Return-Path: <%s>\r\n", s.from)
	if _, err := io.Copy(&message, r); err != nil {
		var answer *smtp.SMTPError
		if errors.As(err, &answer) {
			return answer // it is too large
		}
		return reply(451, smtp.EnhancedCode{4, 3, 0}, "The message did not come to its end")
	}

	unfit, err := s.listener.gate.Offer(s.ctx, source, message.Bytes(), s.to...)
	if errors.Is(unfit, mailbox.ErrTooSlow) {
		err = unfit
	}
	s.listener.notice.Note(err, "source", source)
	switch {
	case err != nil:
		return reply(451, smtp.EnhancedCode{4, 3, 0}, "The message could not be stored, try again later")
	case unfit != nil:
		s.listener.log.Warn("bounce refused", "source", source, "err", unfit)
		return reply(554, smtp.EnhancedCode{5, 6, 0}, "The message cannot be used")
	}
	return nil
}

// Reset forgets the message that was begun.
func (s *session) Reset() {
	s.from = ""
	s.to = nil
}

// Logout ends the session.
func (*session) Logout() error { return nil }
