package person

import (
	"context"
	"errors"
	"fmt"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/runs"
	"broadside/internal/single"
	"broadside/internal/subscribe"
)

// People are those who are known in an installation.
type People struct {
	Suppression *suppression.Store
	Lists       *audience.Lists
	Ledger      *ledger.Ledger
	Runs        *runs.Runs
	Subscribers *subscribe.Store
	Webhooks    Webhooks
	Singles     *single.Store // nil: there are no single messages

	// OwnLane reports whether a domain has a lane of its own for an account. Without it
	// only the domains of the long tail have.
	OwnLane func(account, domain string) bool
}

// Webhooks are events that wait to be told to others, or are dead; *outgoing.Webhooks has
// them. Erase takes out those about an address and returns how many they are.
type Webhooks interface {
	Erase(ctx context.Context, a address.Address, dryRun bool) (int, error)
}

// Known is what is known of one address. Its JSON is that of `person export --json`.
type Known struct {
	Address      string               `json:"address"`
	Suppressions []suppression.Result `json:"suppressions"` // of its domain too
	Lists        []string             `json:"lists"`        // that have it, in a version that is kept
	Runs         []InRun              `json:"runs"`         // the newest first
	Unread       []string             `json:"unread"`       // runs that are being made

	// Subscriptions are the proofs that its owner has confirmed them.
	Subscriptions []subscribe.Proof `json:"subscriptions"`
	// Messages are the single ones that it got, without their content.
	Messages []single.Document `json:"messages"`
}

// InRun says what became of an address in a run.
type InRun struct {
	Run      string `json:"run"`
	Campaign string `json:"campaign"`
	runs.Recipient
}

// Export reads everything that is known of an address. It takes as long as reading all
// lists and all recipients of all runs that are kept.
func (p *People) Export(ctx context.Context, a address.Address) (Known, error) {
	known := Known{Address: a.Canonical(), Suppressions: []suppression.Result{}, Lists: []string{}, Runs: []InRun{}, Unread: []string{}, Messages: []single.Document{}}
	results, err := p.Suppression.Check(ctx, known.Address)
	if err != nil {
		return known, err
	}
	for _, r := range results {
		if r.Suppressed {
			known.Suppressions = append(known.Suppressions, r)
		}
	}

	err = p.eachList(ctx, func(name string) error {
		has, err := p.Lists.Has(ctx, name, a)
		if has {
			known.Lists = append(known.Lists, name)
		}
		return err
	})
	if err != nil {
		return known, err
	}

	if known.Subscriptions, err = p.Subscribers.Of(ctx, a); err != nil {
		return known, err
	}

	messages, err := p.messages(ctx, a)
	if err != nil {
		return known, err
	}
	for _, st := range messages {
		known.Messages = append(known.Messages, single.DocumentOf(st))
	}

	known.Unread, err = p.eachRun(ctx, func(rec *ledger.Record) error {
		return p.Runs.Recipients(ctx, rec.ID, "", func(r runs.Recipient) error {
			if same(r.Address, a) {
				known.Runs = append(known.Runs, InRun{rec.ID, rec.Campaign, r})
			}
			return nil
		})
	})
	return known, err
}

// messages returns the single messages for an address.
func (p *People) messages(ctx context.Context, a address.Address) ([]single.Status, error) {
	if p.Singles == nil {
		return nil, nil
	}
	return p.Singles.Of(ctx, a)
}

// same reports whether a text is an address; most others are told apart by their length.
func same(text string, a address.Address) bool {
	if len(text) != len(a.String()) {
		return false
	}
	other, err := address.Parse(text)
	return err == nil && other.Canonical() == a.Canonical()
}

// eachList calls do for every list. One that cannot be read is an error: it may have the
// address.
func (p *People) eachList(ctx context.Context, do func(name string) error) error {
	lists, err := p.Lists.Ls(ctx)
	if err != nil {
		return err
	}
	for _, l := range lists {
		if l.Broken != "" {
			return fmt.Errorf("list %s cannot be read, and may have the address: %s", l.Name, l.Broken)
		}
		if err := do(l.Name); err != nil {
			return err
		}
	}
	return nil
}

// eachRun calls do for every run whose recipients are kept, the newest first, and returns
// those that are being made: their recipients cannot be read yet.
func (p *People) eachRun(ctx context.Context, do func(*ledger.Record) error) (unread []string, err error) {
	unread = []string{}
	ids, err := p.Ledger.List(ctx, "")
	if err != nil {
		return unread, err
	}

	for _, id := range ids {
		rec, err := p.Ledger.Record(ctx, id)
		if ledger.Gone(err) {
			continue
		}
		if err != nil {
			return unread, err
		}
		if rec.Handle() == nil {
			unread = append(unread, id)
			continue
		}
		if err := do(rec); err != nil && !errors.Is(err, runs.ErrExpired) && !ledger.Gone(err) {
			return unread, err
		}
	}
	return unread, nil
}
