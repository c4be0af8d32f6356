package feedback

import (
	"context"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/campaign/token"
)

// identify finds out whose messages notices are about.
func (r *Recorder) identify(ctx context.Context, all []*finding) error {
	var signed []*finding
	for _, f := range all {
		if _, acts := effects[f.class]; !acts {
			continue
		}
		if err := r.byToken(ctx, f); err != nil {
			return err
		}
		if f.trusted {
			continue
		}

		named, err := address.Parse(f.notice.Recipient)
		if !f.notice.Signed || err != nil {
			f.reason = "it has no token of ours and no signature: " + f.reason
			continue
		}
		f.trusted = true
		f.proven = true
		f.address = named.Canonical()
		f.topic = f.notice.Topic
		signed = append(signed, f)
	}
	return r.latestRuns(ctx, signed)
}

// byToken looks for a token of ours in a notice. It leaves the finding untrusted when
// there is none.
func (r *Recorder) byToken(ctx context.Context, f *finding) error {
	if r.cfg.Keys == nil {
		return nil
	}
	for _, text := range f.notice.Returned {
		if m, err := r.cfg.Keys.ParseMessage(text); err == nil {
			return r.byMessage(ctx, f, m, true)
		}
	}
	for _, text := range f.notice.Quoted {
		if m, err := r.cfg.Keys.ParseMessage(text); err == nil {
			return r.byMessage(ctx, f, m, false)
		}
	}
	if u, ok := r.link(f.notice); ok {
		return r.byLink(ctx, f, u)
	}
	return nil
}

// byMessage identifies by a message token. returned means that the notice came back to
// the token, which alone proves whose message it was; a quoted one proves it unless the
// notice names another address.
func (r *Recorder) byMessage(ctx context.Context, f *finding, m token.Message, returned bool) error {
	f.trusted = true
	f.topic = f.notice.Topic
	run, err := r.runs.byReference(ctx, m.Ref)
	if err != nil {
		return err
	}
	if run == nil || !has(run.Handle(), m.Part, m.Index) {
		r.byNameAlone(f)
		return nil
	}

	f.run = run
	f.runID = run.ID
	f.part = m.Part
	f.index = m.Index
	if f.topic == "" && !f.notice.Signed {
		f.topic = run.Topic
	}

	at := ledger.Place{Part: m.Part, Index: m.Index}
	named, err := address.Parse(f.notice.Recipient)
	if err == nil {
		same, known, err := r.people.is(ctx, run.Handle(), at, named)
		switch {
		case err != nil:
			return err
		case !known:
			r.byNameAlone(f)
			return nil
		case same:
			f.address = named.Canonical()
			f.proven = true
			return nil
		case !returned:
			f.reason = "it names another address than that of the message: " + f.reason
			return nil
		}
	}

	f.address, err = r.people.address(ctx, run.Handle(), at)
	if f.address == "" {
		r.byNameAlone(f)
		return err
	}
	f.proven = true
	return err
}

// byNameAlone takes the address that a notice names, where the addresses of the run are
// not kept any more. A token does not prove that one: anybody who has got a message of
// ours could name somebody else. The signature of a provider does, or our own link.
func (r *Recorder) byNameAlone(f *finding) {
	named, err := address.Parse(f.notice.Recipient)
	u, linked := r.link(f.notice)
	switch {
	case linked && (f.notice.Recipient == "" || err == nil && sameAddress(named, u.Address)):
		f.address = u.Address
	case f.notice.Signed && err == nil:
		f.address = named.Canonical()
	default:
		f.reason = "the addresses of its run are not kept any more: " + f.reason
		return
	}
	f.proven = true
}

// byLink identifies by an unsubscribe link, which has the address in it.
func (r *Recorder) byLink(ctx context.Context, f *finding, u token.Unsubscribe) error {
	f.trusted = true
	f.runID = u.Run
	f.topic = u.Topic
	f.address = u.Address
	f.proven = true
	if f.notice.Recipient != "" {
		named, err := address.Parse(f.notice.Recipient)
		f.proven = err == nil && sameAddress(named, u.Address)
	}
	if !f.proven {
		f.reason = "it names another address than that of the message: " + f.reason
	}

	var err error
	if f.run, err = r.runs.record(ctx, u.Run); err != nil || f.run == nil {
		return err
	}
	a, err := address.Parse(u.Address)
	if err != nil {
		return nil // of an older version: it counts by its text
	}
	at, found, err := r.people.find(ctx, f.run.Handle(), a)
	if found {
		f.part = at.Part
		f.index = at.Index
	}
	return err
}

// link returns the first unsubscribe link in a notice that opens.
func (r *Recorder) link(n campaign.Notice) (token.Unsubscribe, bool) {
	if r.cfg.Keys == nil {
		return token.Unsubscribe{}, false
	}
	for _, text := range n.Links {
		u, err := r.cfg.Keys.Open(text)
		if err == nil && !u.Test {
			if _, err = address.Parse(u.Address); err == nil {
				return u, true
			}
		}
	}
	return token.Unsubscribe{}, false
}

// has reports whether a run has a recipient at a place.
func has(r *ledger.Run, part, index int) bool {
	for _, s := range r.Sizes {
		if s.Part == part {
			return index < s.Size
		}
	}
	return false
}

func sameAddress(a address.Address, text string) bool {
	b, err := address.Parse(text)
	return err == nil && a.Canonical() == b.Canonical()
}
