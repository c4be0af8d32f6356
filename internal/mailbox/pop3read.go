package mailbox

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A pop3Session reads a mailbox by POP3, with a login for each look: a server locks the
// mailbox while one lasts, and shows no new messages.
type pop3Session struct{ *box }

func (s *pop3Session) close() {}

// wait returns after pause.
func (s *pop3Session) wait(ctx context.Context, pause time.Duration) error { return sleep(ctx, pause) }

// poll reads what is new in the mailbox. What was stored is deleted when the session ends
// in order (RFC 1939, section 6); when it does not, all of it comes again.
func (s *pop3Session) poll(ctx context.Context) (came Came, err error) {
	mem, err := s.register.memory(ctx, s.Mailbox)
	if err != nil {
		return came, err
	}

	p, err := s.openPOP3(ctx)
	if err != nil {
		return came, err
	}
	defer p.close()

	all, err := p.list()
	if err != nil {
		return came, err
	}
	fresh, err := s.fresh(ctx, all, mem)
	if err != nil {
		return came, err
	}
	var removed int
	for _, m := range fresh[:min(len(fresh), maxPoll)] {
		var stored bool
		if stored, err = s.readOne(ctx, p, m); err != nil {
			break
		}
		if stored {
			removed++
		} else {
			came.Quarantined++
		}
	}

	ended := p.quit() // also after an error: it deletes what was stored until then
	if ended == nil {
		came.Stored = removed
	}
	if err == nil {
		err = ended
	}
	came.More = err == nil && len(fresh) > maxPoll
	return came, err
}

// fresh returns the messages that are not in quarantine. Those of quarantine that somebody
// has taken out of the mailbox are forgotten.
func (s *pop3Session) fresh(ctx context.Context, all []listed, mem memory) ([]listed, error) {
	var fresh []listed
	for _, m := range all {
		if !mem.left[m.id] {
			fresh = append(fresh, m)
		}
		delete(mem.left, m.id)
	}

	var gone []string
	for id := range mem.left {
		gone = append(gone, id)
	}
	return fresh, s.register.forget(ctx, s.Mailbox, gone)
}

// readOne hands a message over and removes it when it is stored. One that cannot be used
// is in quarantine: it stays in the mailbox and is not fetched again. So is one that the
// server refuses, or that has no end; the latter ends the session.
func (s *pop3Session) readOne(ctx context.Context, p *pop3Client, m listed) (stored bool, err error) {
	message, unfit := p.retrieve(m.number)
	switch {
	case unfit == nil:
		unfit, err = s.gate.Offer(ctx, s.name, message)
		if err != nil {
			return false, err
		}
	case !lastingPOP3(unfit) && !errors.Is(unfit, errTooMuch):
		return false, unfit
	}
	if unfit == nil {
		return true, p.remove(m.number)
	}

	if err := s.register.quarantined(ctx, s.Mailbox, m.id); err != nil {
		return false, err
	}
	s.noteQuarantine(ctx, unfit, "uidl", m.id, "place", "the mailbox itself; it is not fetched again")
	return false, nil
}

// lastingPOP3 reports whether err is a refusal that is not only of this moment (RFC 2449,
// section 8; RFC 3206).
func lastingPOP3(err error) bool {
	var no *refusal
	return errors.As(err, &no) && !strings.HasPrefix(no.text, "[SYS/TEMP]") && !strings.HasPrefix(no.text, "[IN-USE]")
}
