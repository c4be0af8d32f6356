package single

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/configs"
	"broadside/sender/reply"
)

const (
	// claimFor is how long a claim may be without an outcome before the message is
	// uncertain: longer than a server may take to answer.
	claimFor = 5 * time.Minute
	// recordFor is how long it is tried to record an outcome.
	recordFor = time.Minute
	// firstPause is how long a message waits that no server was asked about, and
	// longestPause the longest time: the older it is, the longer.
	firstPause   = 5 * time.Second
	longestPause = 5 * time.Minute
)

// errTaken: another process has the message, or its outcome is known.
var errTaken = errors.New("another has it")

// Send takes a message as Accept does, and sends it now, in this process. Of a used key it
// returns the message of that time, which it sends if that waits. created is as of Accept.
// A message that could not be sent waits for Run; where ctx has ended it is cancelled.
func (s *Service) Send(ctx context.Context, r Request) (st Status, created bool, err error) {
	st, created, err = s.admit(ctx, r, leaseFor)
	if err != nil || !st.Waits() {
		return st, created, err
	}

	st, err = s.deliver(ctx, st.ID)
	if errors.Is(err, errTaken) {
		reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
		defer cancel()
		m, err := s.cfg.Store.get(reading, st.ID)
		return m.Status, created, err
	}
	if ctx.Err() != nil && err != nil && st.Waits() && created {
		st, err = s.cancel(st)
	}
	return st, created, err
}

// cancel takes a message back that this call has made and that has not been claimed. Its
// key is free again: nothing was sent.
func (s *Service) cancel(st Status) (Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	cancelled := st
	cancelled.State = campaign.Cancelled
	cancelled.Reply = "interrupted before a server had it"
	cancelled.Changed = s.now()
	ok, err := s.cfg.Store.note(ctx, cancelled, "")
	if err != nil {
		return st, err
	}
	if !ok { // a worker was quicker
		m, err := s.cfg.Store.get(ctx, st.ID)
		return m.Status, err
	}
	return cancelled, s.cfg.Store.forget(ctx, st.ID)
}

// deliver sends one message, or finds out why it is not to be sent, and records what
// became of it. Where ctx ends before the claim nothing is recorded.
func (s *Service) deliver(ctx context.Context, id string) (Status, error) {
	defer s.hold(id)()
	reading, cancel := context.WithTimeout(ctx, storeWithin)
	m, err := s.cfg.Store.get(reading, id)
	cancel()
	switch {
	case errors.Is(err, ErrNone):
		return Status{ID: id}, s.cfg.Store.drop(ctx, id)
	case err != nil:
		return Status{ID: id}, err
	case m.State == campaign.Sending && s.now().Before(m.Changed.Add(claimFor)):
		return m.Status, errTaken // it is being sent
	case m.State == campaign.Sending:
		return s.doubt(ctx, m)
	case !m.Waits():
		return m.Status, s.cfg.Store.drop(ctx, id)
	}

	c, err := s.unseal(m)
	if err != nil {
		return s.end(m, campaign.Failed, "its content cannot be read: the secret that it was sealed with is not configured any more")
	}
	if !s.now().Before(m.expires) {
		why := "expired"
		if m.Reply != "" {
			why += "; before that: " + m.Reply
		}
		return s.end(m, campaign.Failed, why)
	}
	a, err := address.Parse(c.To)
	if err != nil {
		return s.end(m, campaign.Failed, "its address cannot be read: "+err.Error())
	}
	if only := s.cfg.Settings.OnlyTo; len(only) > 0 && !configs.MatchAddress(only, a.String()) {
		return s.end(m, campaign.Suppressed, "not in only_to")
	}
	looking, cancel := context.WithTimeout(ctx, storeWithin)
	stop, err := s.standing(looking, a, c.Topic)
	cancel()
	if err != nil {
		return m.Status, err
	}
	if stop != nil {
		return s.end(m, campaign.Suppressed, fmt.Sprintf("suppressed (%s, %s)", stop.Scope, stop.Reason))
	}
	return s.try(ctx, m, c, a)
}

// try sends a message by the first of its accounts that can.
func (s *Service) try(ctx context.Context, m stored, c content, a address.Address) (Status, error) {
	var why []string
	for _, account := range c.Accounts {
		claim := claim{store: s.cfg.Store, id: m.ID, token: rand.Text(), now: s.now}
		began := time.Now()
		answer, err := s.cfg.Courier.SendClaimed(ctx, account, c.From, c.To, c.Message, claim.take)
		switch {
		case errors.Is(err, errTaken):
			return m.Status, errTaken
		case claim.asked && err != nil: // whether Redis has it is not known, but nothing was sent
			st := s.putOff(m, account, err.Error())
			return st, s.record(st, claim.token)
		case ctx.Err() != nil && err != nil:
			return m.Status, err
		case err != nil:
			why = append(why, err.Error())
			continue
		case interrupted(answer) && ctx.Err() != nil && !claim.asked:
			return m.Status, context.Cause(ctx)
		}

		answer.Provider = campaign.ProviderOf(a.Domain)
		answer.Relay = s.cfg.Settings.Accounts[account].Preset
		st, suppress := s.judge(ctx, m, c, a, answer)
		st.Account = account
		if suppress {
			s.suppress(a, st)
		}
		err = s.record(st, claim.token)
		s.tell(st, c, time.Since(began))
		return st, err
	}

	st := s.putOff(m, c.Accounts[len(c.Accounts)-1], strings.Join(why, "; "))
	s.log.Warn("single message waits", "id", m.ID, "template", m.Template, "next", st.Next.UTC().Format(time.RFC3339), "reason", st.Reply)
	return st, s.record(st, "")
}

// interrupted reports whether an exchange ended because this process does.
func interrupted(r reply.Reply) bool { return r.Event == reply.Cancelled }

// A claim takes a message when its body is about to leave.
type claim struct {
	store     *Store
	id, token string
	now       func() time.Time
	asked     bool
}

func (c *claim) take(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	c.asked = true
	now := c.now()
	ok, err := c.store.claimFor(ctx, c.id, c.token, now, now.Add(claimFor))
	if err == nil && !ok {
		return errTaken
	}
	return err
}

// judge returns what a reply makes of a message, and whether the address is dead.
func (s *Service) judge(ctx context.Context, m stored, c content, a address.Address, answer reply.Reply) (st Status, dead bool) {
	now := s.now()
	d := s.cfg.Classify(answer)
	st = m.Status
	st.Code = answer.Code
	st.Enhanced = answer.Enhanced
	st.Reply = address.Redact(answer.String())
	st.Changed = now
	st.Next = time.Time{}

	switch d.Verdict {
	case reply.Accepted, reply.Uncertain, reply.SuppressHard, reply.FailNoSuppress:
		st.Attempts++
		st.State = finals[d.Verdict]
		if d.Verdict == reply.FailNoSuppress && d.Confirm > 1 && s.confirmed(ctx, a, d.Confirm) {
			st.State = campaign.Bounced
		}
		return st, st.State == campaign.Bounced
	case reply.RetryRecipient, reply.MailboxFull, reply.Greylisted:
		st.Attempts++
		if st.Attempts >= c.MaxAttempts {
			st.State = campaign.Failed
			return st, false
		}
		wait := c.Retry[min(st.Attempts, len(c.Retry))-1]
		if d.Verdict == reply.Greylisted && d.Backoff > 0 {
			wait = min(wait, d.Backoff)
		}
		return s.later(st, m, wait), false
	}
	return s.later(st, m, pause(now.Sub(m.Created))), false // about the lane or the account
}

// finals are the outcomes that are final.
var finals = map[reply.Verdict]campaign.State{
	reply.Accepted: campaign.Accepted, reply.Uncertain: campaign.Uncertain,
	reply.SuppressHard: campaign.Bounced, reply.FailNoSuppress: campaign.Failed,
}

// later has a message tried again, unless it expires before.
func (s *Service) later(st Status, m stored, wait time.Duration) Status {
	st.State = campaign.Deferred
	st.Next = s.now().Add(wait)
	if !st.Next.Before(m.expires) {
		st.State = campaign.Failed
		st.Next = time.Time{}
		st.Reply += " (it would expire before the next try)"
	}
	return st
}

// putOff returns a message that no server was asked about, because of why. It is not
// charged an attempt.
func (s *Service) putOff(m stored, account, why string) Status {
	now := s.now()
	st := m.Status
	st.Account = account
	st.Code = 0
	st.Enhanced = ""
	st.Reply = address.Redact(why)
	st.Changed = now
	st.Next = now.Add(pause(now.Sub(m.Created)))
	if st.Next.After(m.expires) {
		st.Next = m.expires
	}
	return st
}

// pause returns how long a message of an age waits that was put off.
func pause(age time.Duration) time.Duration { return min(max(age, firstPause), longestPause) }

// doubt reports a message that was claimed, and of which no outcome came.
func (s *Service) doubt(ctx context.Context, m stored) (Status, error) {
	st := m.Status
	st.State = campaign.Uncertain
	st.Attempts++
	st.Reply = "no reply was seen: it may have arrived, and is not sent again"
	st.Changed = s.now()
	ok, err := s.cfg.Store.note(ctx, st, m.token)
	if ok {
		s.log.WarnContext(ctx, "single message is uncertain: the process that was sending it has died", "id", m.ID, "template", m.Template, "claimed", m.Changed.Format(time.RFC3339))
	}
	return st, err
}

// end records an outcome that no server has caused.
func (s *Service) end(m stored, state campaign.State, why string) (Status, error) {
	st := m.Status
	st.State = state
	st.Reply = why
	st.Changed = s.now()
	st.Next = time.Time{}
	s.log.Warn("single message not sent", "id", m.ID, "template", m.Template, "state", state.String(), "reason", why)
	return st, s.record(st, "")
}

// record records how a message stands, also while the process ends: what is not recorded
// becomes uncertain.
func (s *Service) record(st Status, token string) error {
	recorded := false
	err := s.insist(func(ctx context.Context) (err error) {
		recorded, err = s.cfg.Store.note(ctx, st, token)
		return err
	})
	if err == nil && !recorded {
		return errTaken
	}
	return err
}

// insist tries for a minute to have Redis told what cannot be told again, also while the
// process ends.
func (s *Service) insist(tell func(ctx context.Context) error) error {
	latest := time.Now().Add(recordFor)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
		err := tell(ctx)
		cancel()
		if err == nil || time.Now().After(latest) {
			return err
		}
		s.storing.Note(err)
		<-time.After(time.Second)
	}
}

// confirmed counts a reply that says that an address is dead, where it takes several.
func (s *Service) confirmed(ctx context.Context, a address.Address, wanted int) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	dead, err := s.cfg.Suppression.Confirm(ctx, a.Canonical(), wanted)
	if err != nil {
		s.log.Warn("reply about a dead address could not be counted", "err", err)
	}
	return dead
}

// suppress puts a dead address on the list.
func (s *Service) suppress(a address.Address, st Status) {
	err := s.insist(func(ctx context.Context) error {
		_, err := s.cfg.Suppression.Add(ctx, suppression.Entry{
			Address: a.Canonical(), Scope: suppression.All, Reason: suppression.ReasonBounce, Source: "smtp", At: st.Changed, Evidence: st.Reply,
		})
		return err
	})
	if err != nil {
		s.log.Warn("dead address not suppressed", "id", st.ID, "err", err)
	}
}

// tell logs what became of a message.
func (s *Service) tell(st Status, c content, took time.Duration) {
	attrs := []any{
		"id", st.ID, "template", st.Template, "account", st.Account, "attempt", st.Attempts, "state", st.State.String(),
		"reply", st.Reply, "took", took.Round(time.Millisecond).String(),
	}
	switch st.State {
	case campaign.Accepted:
		s.log.Info("single message accepted", attrs...)
	case campaign.Deferred:
		s.log.Info("single message deferred", append(attrs, "next", st.Next.UTC().Format(time.RFC3339), "of", c.MaxAttempts)...)
	case campaign.Uncertain:
		s.log.Warn("single message is uncertain", attrs...)
	default:
		s.log.Warn("single message not accepted", attrs...)
	}
}
