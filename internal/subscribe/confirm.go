package subscribe

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
)

// A Pending is a subscription that a link can confirm.
type Pending struct {
	Form    Form
	Address string
}

// Look returns what a link would confirm; it changes nothing and needs no Redis. The error
// is token.ErrToken, also when the form is not configured any more, or ErrExpired, with
// which the form is returned all the same.
func (s *Service) Look(text string) (Pending, error) {
	asked, _, err := s.read(text)
	if err != nil && asked.Form == "" {
		return Pending{}, err
	}
	form, _ := s.Form(asked.Form, asked.Language)
	return Pending{Form: form, Address: asked.Address}, err
}

// read opens a token and says whether it is still good.
func (s *Service) read(text string) (token.Subscribe, address.Address, error) {
	asked, err := s.cfg.Keys.OpenSubscribe(text)
	if err != nil {
		return token.Subscribe{}, address.Address{}, err
	}
	a, err := address.Parse(asked.Address)
	if err != nil || s.letter(asked.Form, asked.Language) == nil {
		return token.Subscribe{}, address.Address{}, token.ErrToken
	}
	if s.now().Sub(asked.Asked) > LinkLife {
		return asked, a, ErrExpired
	}
	return asked, a, nil
}

// Confirm puts the address of a link on its list, or says that it cannot: false when the
// address is suppressed for a reason that its reader cannot take back here. Confirming
// again changes nothing. The error is one of Look, or trouble with Redis; then nothing
// that was confirmed is lost, and the reader may try again.
func (s *Service) Confirm(ctx context.Context, text string) (bool, error) {
	asked, a, err := s.read(text)
	if err != nil {
		return false, err
	}

	// What was begun is finished, also when the reader has closed the page.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmWithin)
	defer cancel()
	f := s.set.Subscribe[asked.Form]
	earlier, err := s.cfg.Store.proof(ctx, place{f.List, f.Topic}, a)
	if err != nil {
		return false, err
	}
	left, stop, err := s.standing(ctx, asked, a)
	if err != nil {
		return false, err
	}
	if stop != nil {
		s.log.InfoContext(ctx, "subscription not confirmed: the address is suppressed", "form", asked.Form, "reason", stop.Reason, "scope", stop.Scope)
		return false, nil
	}
	if earlier != nil && !earlier.Asked.Before(asked.Asked) {
		return true, s.takeBack(ctx, left) // by this link, or by a later one
	}

	proof := Proof{
		List: f.List, Form: asked.Form, Topic: f.Topic, Asked: asked.Asked, Confirmed: s.now().UTC().Truncate(time.Millisecond),
		Source: asked.Source, Network: asked.Network, Language: asked.Language, Text: asked.Text,
	}
	if err := s.cfg.Store.confirm(ctx, a, proof, row{Address: a.String(), Fields: asked.Fields}); err != nil {
		return false, err
	}
	if err := s.takeBack(ctx, left); err != nil {
		return false, err
	}
	s.log.InfoContext(ctx, "subscription confirmed", "form", asked.Form, "list", f.List)
	s.rouse()
	return true, nil
}

// takeBack takes back that a topic was left, once there is a proof that it is wanted again.
func (s *Service) takeBack(ctx context.Context, left *suppression.Entry) error {
	if left == nil {
		return nil
	}
	if _, err := s.cfg.Suppression.Undo(ctx, *left); err != nil {
		return fmt.Errorf("take back that the topic was left: %w", err)
	}
	return nil
}

// standing looks up what stands in the way of a subscription. left is that the reader has
// left its topic before they asked, which confirming takes back; stop is an entry that it
// does not take back.
func (s *Service) standing(ctx context.Context, asked token.Subscribe, a address.Address) (left, stop *suppression.Entry, err error) {
	results, err := s.cfg.Suppression.Check(ctx, a.Canonical())
	if err != nil {
		return nil, nil, err
	}

	topic := suppression.Topic(s.set.Subscribe[asked.Form].Topic)
	for _, r := range results {
		e := r.Entry
		switch {
		case !r.Suppressed || e.Scope != suppression.All && e.Scope != topic:
		case e.Scope == topic && e.Domain == "" && e.Reason == suppression.ReasonUnsubscribe && !e.At.After(asked.Asked):
			left = &e
		default:
			stop = &e
		}
	}
	return left, stop, nil
}
