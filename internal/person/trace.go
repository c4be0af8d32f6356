package person

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/internal/runs"
	"broadside/sender"
)

// A Trace is what happened to one address. Its JSON is that of `trace --json`.
type Trace struct {
	Address string   `json:"address"`
	Events  []Event  `json:"events"`   // in the order of time; first those whose time is not known
	LeftOut int      `json:"left_out"` // earlier events, which the limit has left out
	Unread  []string `json:"unread"`   // runs that are being made: their recipients cannot be read yet
}

// TraceOptions say how much of a trace is wanted.
type TraceOptions struct {
	Run   string // only what is about this run; empty: everything
	Limit int    // the latest so many events; 0: all
}

// Trace reads what happened to an address. Like Export it takes as long as reading all
// lists and all runs that are kept. Of an address that was erased, and in runs whose
// addresses are not kept any more, it finds what goes by the hash.
func (p *People) Trace(ctx context.Context, a address.Address, o TraceOptions) (Trace, error) {
	t := Trace{Address: a.Canonical(), Events: []Event{}, Unread: []string{}}
	err := p.traceList(ctx, &t)
	if err != nil {
		return t, err
	}
	if o.Run == "" {
		err = errors.Join(p.traceNames(ctx, a, &t), p.traceSubscriptions(ctx, a, &t), p.traceMessages(ctx, a, &t))
	} else {
		t.Events = slices.DeleteFunc(t.Events, func(e Event) bool { return e.Run != o.Run })
	}
	if err != nil {
		return t, err
	}

	t.Unread, err = p.eachRun(ctx, func(rec *ledger.Record) error {
		if o.Run != "" && rec.ID != o.Run {
			return nil
		}
		events, err := p.traceRun(ctx, rec, a)
		t.Events = append(t.Events, events...)
		return err
	})
	if err != nil {
		return t, err
	}
	if o.Run != "" {
		t.Unread = slices.DeleteFunc(t.Unread, func(id string) bool { return id != o.Run })
	}

	inOrder(t.Events)
	if o.Limit > 0 && len(t.Events) > o.Limit {
		t.LeftOut = len(t.Events) - o.Limit
		t.Events = t.Events[t.LeftOut:]
	}
	return t, nil
}

// inOrder sorts events by time. Those of one moment keep the order in which one follows
// from the other.
func inOrder(events []Event) {
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)))
	})
}

// traceList adds what the suppression list has, had, and has counted.
func (p *People) traceList(ctx context.Context, t *Trace) error {
	history, err := p.Suppression.History(ctx, t.Address)
	if err != nil {
		return err
	}
	for _, past := range history {
		t.Events = append(t.Events, suppressionEvent(past))
	}

	signs, err := p.Suppression.Signs(ctx, t.Address)
	if err != nil {
		return err
	}
	if signs.Confirmed > 0 {
		t.Events = append(t.Events, Event{At: signs.Last, Kind: KindSign, Count: signs.Confirmed})
	}
	for i, at := range signs.Returned {
		t.Events = append(t.Events, Event{At: at, Kind: KindReturned, Count: i + 1})
	}
	return nil
}

// traceNames adds the lists that have the address.
func (p *People) traceNames(ctx context.Context, a address.Address, t *Trace) error {
	return p.eachList(ctx, func(name string) error {
		has, err := p.Lists.Has(ctx, name, a)
		if has {
			t.Events = append(t.Events, Event{Kind: KindList, List: name})
		}
		return err
	})
}

// traceSubscriptions adds the subscriptions that the owner of the address has confirmed. One
// that was not confirmed is known nowhere.
func (p *People) traceSubscriptions(ctx context.Context, a address.Address, t *Trace) error {
	proofs, err := p.Subscribers.Of(ctx, a)
	if err != nil {
		return err
	}
	for _, proof := range proofs {
		asked := Event{
			At: proof.Asked, Kind: KindAsked, List: proof.List, Topic: proof.Topic, Form: proof.Form, Source: proof.Source, Text: proof.Text,
		}
		confirmed := asked
		confirmed.At = proof.Confirmed
		confirmed.Kind = KindConfirmed
		confirmed.Source = ""
		t.Events = append(t.Events, asked, confirmed)
	}
	return nil
}

// traceMessages adds the single messages for the address, each as it stands now.
func (p *People) traceMessages(ctx context.Context, a address.Address, t *Trace) error {
	all, err := p.messages(ctx, a)
	for _, st := range all {
		e := Event{
			At: st.Created, Kind: KindSingle, Message: st.ID, Template: st.Template, State: st.State.String(), Attempts: st.Attempts,
			Account: st.Account, Code: st.Code, Enhanced: st.Enhanced, Reply: st.Reply,
		}
		if st.Waits() {
			e.Until = st.Next
		}
		t.Events = append(t.Events, e)
	}
	return err
}

// traceRun returns what happened in one run.
func (p *People) traceRun(ctx context.Context, rec *ledger.Record, a address.Address) ([]Event, error) {
	run := rec.Handle()
	at, found, err := p.find(ctx, run, a)
	if err != nil && !ledger.Gone(err) { // the addresses may have expired
		return nil, err
	}

	var events []Event
	if found {
		events, err = p.traceRecipient(ctx, rec, at, a)
		if err != nil && !ledger.Gone(err) {
			return nil, err
		}
	}

	hash := a.Hash()
	returned, err := p.Ledger.Returned(ctx, run, at, string(hash[:16]))
	if err != nil {
		return nil, err
	}
	for _, r := range returned {
		events = append(events, Event{
			At: r.At, Kind: Kind(r.Kind), Run: rec.ID, Account: r.Account, Lane: p.laneOf(r.Account, a), Source: r.Source,
			Enhanced: r.Status, Reply: r.Said,
		})
	}
	return events, nil
}

// traceRecipient returns how the recipient at a place stands.
func (p *People) traceRecipient(ctx context.Context, rec *ledger.Record, at ledger.Place, a address.Address) ([]Event, error) {
	run := rec.Handle()
	standing, err := p.Ledger.Standing(ctx, run, at)
	if err != nil {
		return nil, err
	}

	state := runs.ShownState(standing.State)
	entry := Event{
		At: rec.Created, Kind: KindRun, Run: rec.ID, Campaign: rec.Campaign, Topic: rec.Topic,
		State: state.String(), Attempts: standing.Attempts,
	}
	if state == campaign.Deferred {
		entry.Until = rec.Created.Add(standing.When)
	}
	events := []Event{entry}
	if !standing.Claimed.IsZero() {
		events = append(events, Event{At: standing.Claimed, Kind: KindClaimed, Run: rec.ID, Attempts: standing.Attempts})
	}

	last := standing.Last
	if state == campaign.Accepted {
		receipts, err := p.Ledger.Receipts(ctx, run)
		if err != nil {
			return nil, err
		}
		last = nil
		if receipt, ok := receipts.Of(at.Part, at.Index); ok {
			receipt.Attempt = standing.Attempts
			last = &receipt
		}
	}
	if last != nil {
		events = append(events, Event{
			At: last.At, Kind: KindReply, Run: rec.ID, State: state.String(), Attempts: last.Attempt,
			Account: last.Account, Lane: p.laneOf(last.Account, a),
			Code: last.Code, Enhanced: last.Enhanced, Reply: runs.ReplyText(*last), QueueID: sender.QueueID(last.Text),
		})
	}
	return events, nil
}

// laneOf returns the lane in which an address waits for an account today; empty without
// an account.
func (p *People) laneOf(account string, a address.Address) string {
	provider := campaign.ProviderOf(a.Domain)
	switch {
	case account == "":
		return ""
	case provider == campaign.Other || p.OwnLane != nil && p.OwnLane(account, a.Domain):
		return account + "/" + a.Domain
	}
	return account + "/" + string(provider)
}

// find returns the place of an address in a run. The index is -1 when it is not found.
// The error wraps ledger.ErrNoRun when the addresses of the run are not kept any more.
func (p *People) find(ctx context.Context, run *ledger.Run, a address.Address) (ledger.Place, bool, error) {
	nowhere := ledger.Place{Index: -1}
	likely := campaign.PartOf(a.Domain)
	parts := slices.Clone(run.Sizes) // the one where the address should be comes first
	slices.SortStableFunc(parts, func(x, y ledger.PartSize) int {
		switch {
		case x.Part == y.Part:
			return 0
		case x.Part == likely:
			return -1
		case y.Part == likely:
			return 1
		}
		return 0
	})
	for _, part := range parts {
		for first := 0; first < part.Size; first += audience.ChunkSize {
			chunk, err := p.chunk(ctx, run, part.Part, first)
			if err != nil {
				return nowhere, false, err
			}
			for i := range chunk.Len() {
				if chunk.Row(i).Address.Canonical() == a.Canonical() {
					return ledger.Place{Part: part.Part, Index: first + i}, true, nil
				}
			}
		}
	}
	return nowhere, false, nil
}

// chunk reads the recipients of a part that begin with one.
func (p *People) chunk(ctx context.Context, run *ledger.Run, part, first int) (*audience.Chunk, error) {
	data, err := p.Ledger.Chunk(ctx, run, part, first)
	if err != nil {
		return nil, err
	}
	chunk, err := audience.DecodeChunk(data)
	if err != nil {
		return nil, fmt.Errorf("look for an address in run %s: %w", run.ID, err)
	}
	return chunk, nil
}
