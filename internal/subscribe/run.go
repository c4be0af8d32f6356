package subscribe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/sender/reply"
)

const (
	pollEvery  = time.Second     // for what other processes have taken
	renew      = leaseFor / 3    // of the lease
	inOneGo    = 20              // messages between two looks at the lists
	lookWithin = 5 * time.Second // for Redis

	// sendWithin bounds the sending of one message, with its waiting for a slot.
	sendWithin = 90 * time.Second
	// giveUp is when a message that no server has answered about is given up: the reader
	// has long asked again, or forgotten it.
	giveUp = 24 * time.Hour

	// Putting rows on a list writes all of it again: it may take a twentieth of the time.
	joinShare = 20
	joinEvery = 5 * time.Second
	joinMost  = 10 * time.Minute // between two times
	joinLimit = 2 * time.Minute  // for one time
)

// Run sends messages and puts who has confirmed on their lists, until ctx ends. Of all
// processes that run it one at a time does.
func (s *Service) Run(ctx context.Context) error {
	if len(s.set.Subscribe) == 0 {
		<-ctx.Done()
		return nil
	}

	holder := rand.Text()
	var renewing sync.WaitGroup
	renewing.Go(func() { s.keepLease(ctx, holder) })
	defer func() {
		renewing.Wait()
		if s.holds.Load() {
			s.cfg.Store.release(ctx, holder)
		}
	}()

	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	kept := false
	for {
		if !kept {
			err := s.keepWords(ctx)
			kept = err == nil
			if err != nil {
				s.log.DebugContext(ctx, "texts of subscriptions not stored yet", "err", err)
			}
		}
		if s.holds.Load() {
			s.round(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// keepWords stores what readers are shown from now on, so that proofs can name it.
func (s *Service) keepWords(ctx context.Context) error {
	words := map[string]string{}
	for _, languages := range s.letters {
		for _, l := range languages {
			words[l.version] = l.words
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	return s.cfg.Store.keepWords(ctx, words)
}

// keepLease asks for the lease until ctx ends.
func (s *Service) keepLease(ctx context.Context, holder string) {
	for {
		asking, cancel := context.WithTimeout(ctx, lookWithin)
		holds, err := s.cfg.Store.lease(asking, holder)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.DebugContext(ctx, "right to send confirmations not asked for", "err", err)
		}
		s.holds.Store(holds)
		wait := renew
		if !holds {
			wait = pollEvery
		} else {
			s.rouse()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// round sends what is due, and puts rows on lists.
func (s *Service) round(ctx context.Context) {
	s.sending.Note(s.sendDue(ctx))
	s.joining.Note(s.joinDue(ctx))
}

// sendDue sends some of the messages that are due; the error is the first that kept one
// back. When there may be more, the next round begins at once.
func (s *Service) sendDue(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, lookWithin)
	tokens, err := s.cfg.Store.due(looking, s.now(), inOneGo)
	cancel()
	if err != nil {
		return err
	}

	var first error
	for _, sealed := range tokens {
		if ctx.Err() != nil || !s.holds.Load() {
			return first
		}
		if err := s.deliver(ctx, sealed); err != nil && first == nil {
			first = err
		}
	}
	if first == nil && len(tokens) == inOneGo {
		s.rouse()
	}
	return first
}

// deliver sends one message of the outbox, or puts it off. The error says why it was put
// off.
func (s *Service) deliver(ctx context.Context, sealed string) error {
	asked, a, err := s.read(sealed)
	age := s.now().Sub(asked.Asked)
	if err != nil || age > giveUp {
		s.log.WarnContext(ctx, "confirmation given up: its secret or its form is gone, or it has waited for a day", "form", asked.Form, "err", err)
		return s.settle(ctx, sealed)
	}
	if only := s.set.OnlyTo; len(only) > 0 && !configs.MatchAddress(only, a.String()) {
		s.log.InfoContext(ctx, "confirmation not sent: the address does not match only_to", "form", asked.Form)
		return s.settle(ctx, sealed)
	}

	looking, cancel := context.WithTimeout(ctx, lookWithin)
	_, stop, err := s.standing(looking, asked, a)
	cancel()
	if err != nil {
		return err
	}
	if stop != nil {
		s.log.InfoContext(ctx, "confirmation not sent: the address is suppressed", "form", asked.Form, "reason", stop.Reason, "scope", stop.Scope)
		return s.settle(ctx, sealed)
	}

	answer, err := s.send(ctx, asked, a, sealed)
	if err != nil {
		return errors.Join(err, s.putOff(ctx, sealed, age))
	}
	switch d := reply.Classify(answer); d.Verdict {
	case reply.Accepted:
		s.log.InfoContext(ctx, "confirmation sent", "form", asked.Form, "account", s.accounts[asked.Form])
		return s.settle(ctx, sealed)
	case reply.SuppressHard, reply.FailNoSuppress, reply.Uncertain:
		s.log.InfoContext(ctx, "confirmation not accepted", "form", asked.Form, "reply", address.Redact(answer.String()), "verdict", string(d.Verdict))
		return s.settle(ctx, sealed)
	default:
		return errors.Join(fmt.Errorf("account %s: %s", s.accounts[asked.Form], address.Redact(answer.String())), s.putOff(ctx, sealed, age))
	}
}

// send composes and sends one message.
func (s *Service) send(ctx context.Context, asked token.Subscribe, a address.Address, sealed string) (reply.Reply, error) {
	l := s.letter(asked.Form, asked.Language)
	message, err := l.compose(asked, a, sealed, s.link(sealed), s.now())
	if err != nil {
		return reply.Reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	return s.cfg.Courier.Send(ctx, s.accounts[asked.Form], l.from, a.String(), message)
}

// settle takes a message out of the outbox, also while the process ends.
func (s *Service) settle(ctx context.Context, sealed string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookWithin)
	defer cancel()
	return s.cfg.Store.done(ctx, sealed)
}

// putOff has a message tried again: soon at first, then less and less often.
func (s *Service) putOff(ctx context.Context, sealed string, age time.Duration) error {
	wait := min(max(age, 15*time.Second), 30*time.Minute)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookWithin)
	defer cancel()
	return s.cfg.Store.later(ctx, sealed, s.now().Add(wait))
}

// joinDue puts rows on the lists whose time has come.
func (s *Service) joinDue(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, lookWithin)
	places, err := s.cfg.Store.places(looking) // also of forms that there were
	cancel()
	if err != nil {
		return err
	}
	lists := map[string]bool{}
	for _, at := range places {
		lists[at.list] = true
	}

	var errs []error
	for _, list := range slices.Sorted(maps.Keys(lists)) {
		if ctx.Err() != nil || s.now().Before(s.joins[list]) {
			continue
		}
		began := time.Now()
		n, err := s.join(ctx, list)
		if n > 0 || err != nil {
			wait := min(max(joinShare*time.Since(began), joinEvery), joinMost)
			s.joins[list] = s.now().Add(wait)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// join puts everybody who waits on a list, in one new version of it, and returns how many
// they were. Cut off anywhere, it can be repeated: who is on the list already stays as
// they are there.
func (s *Service) join(ctx context.Context, list string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	rows, err := s.cfg.Store.rowsFor(ctx, list)
	if err != nil || len(rows) == 0 {
		return 0, err
	}

	var fields []string
	for _, r := range rows {
		for name := range r.Fields {
			if !slices.Contains(fields, name) {
				fields = append(fields, name)
			}
		}
	}
	slices.Sort(fields)
	order := slices.Sorted(maps.Keys(rows))
	n := 0
	reader := audience.FromRows("subscribe", append([]string{"email"}, fields...), func(to *audience.Row) error {
		if n == len(order) {
			return io.EOF
		}
		r := rows[order[n]]
		n++
		a, err := address.Parse(r.Address)
		if err != nil {
			return fmt.Errorf("a row that waits for list %s has no address: %w", list, err)
		}
		to.Line = n
		to.Address = a
		to.Values = append(to.Values[:0], a.String())
		for _, name := range fields {
			to.Values = append(to.Values, r.Fields[name])
		}
		return nil
	})
	sum, err := s.cfg.Import(ctx, list, reader, audience.ImportOptions{Mode: audience.Add, Joined: true})
	if err != nil {
		return 0, fmt.Errorf("put %d subscribers on list %s: %w", len(rows), list, err)
	}
	if err := s.cfg.Store.arrived(ctx, list, order); err != nil {
		return 0, err
	}
	s.log.InfoContext(ctx, "subscribers put on their list", "list", list, "new", sum.Added, "known", sum.Known, "version", sum.Version)
	return len(rows), nil
}
