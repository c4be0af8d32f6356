package feedback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/configs/units"
)

// addWithin bounds the writing of suppressions.
const addWithin = 5 * time.Second

// suppress puts on the list whom the findings are about.
func (r *Recorder) suppress(ctx context.Context, all []*finding) error {
	ctx, cancel := context.WithTimeout(ctx, addWithin)
	defer cancel()

	tooMany, err := r.countReturns(ctx, all)
	if err != nil {
		return err
	}

	var of []*finding
	var entries []suppression.Entry
	for i, f := range all {
		if !f.proven || f.address == "" {
			continue
		}
		if e, ok := r.entryOf(f, tooMany[i]); ok {
			of = append(of, f)
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil
	}

	barrier, server := r.replayer.current()
	noted, err := r.cfg.Suppression.AddLasting(ctx, barrier, entries...)
	if err != nil {
		return err
	}

	added := noted.Added > 0
	first := false
	for _, e := range entries {
		if e.At.IsZero() {
			e.At = noted.At
		}
		if r.replayer.remember(ctx, e, server, noted) {
			first = true
		}
	}
	if first || added {
		f := of[0]
		r.log.InfoContext(ctx, string(effects[f.class].kind), "run", f.runID, "topic", f.topic, "source", f.notice.Source,
			"new", added, "entries", len(entries))
	}
	return nil
}

// entryOf returns the suppression that a finding leads to; false for none. tooMany means
// that too many messages to the address came back.
func (r *Recorder) entryOf(f *finding, tooMany bool) (suppression.Entry, bool) {
	e := suppression.Entry{
		Address: f.address, Scope: suppression.All, Source: f.notice.Source, Run: f.runID, Evidence: evidence(f.notice),
	}
	if !f.notice.At.IsZero() {
		e.At = f.at(time.Now())
	}

	switch {
	case f.class == campaign.ClassHard:
		e.Reason = suppression.ReasonBounce
	case tooMany:
		e.Reason = suppression.ReasonBounce
		e.Evidence = fmt.Sprintf("%d messages within %s came back, the last one with: %s",
			r.cfg.Soft.Messages, units.FormatDuration(r.cfg.Soft.Within), e.Evidence)
	case f.class == campaign.ClassComplaint:
		e.Reason = suppression.ReasonComplaint
	case f.class == campaign.ClassUnsubscribed:
		e.Reason = suppression.ReasonUnsubscribe
		if f.topic != "" {
			e.Scope = suppression.Topic(f.topic)
		}
	default:
		return e, false
	}
	return e, true
}

// countReturns counts messages that came back although the address may be in use, and
// reports for each finding whether they were too many. That a message arrived, or was
// answered by its reader, takes back those before it.
func (r *Recorder) countReturns(ctx context.Context, all []*finding) ([]bool, error) {
	tooMany := make([]bool, len(all))
	if r.cfg.Soft.Messages == 0 {
		return tooMany, nil
	}

	var of []int
	var returns []suppression.Return
	now := time.Now()
	for i, f := range all {
		if !f.proven || f.address == "" {
			continue
		}
		back := suppression.Return{Address: f.address, At: f.at(now)}
		switch f.class {
		case campaign.ClassSoft:
			back.Message = f.message()
		case campaign.ClassDelivered, campaign.ClassComplaint, campaign.ClassUnsubscribed:
		default:
			continue
		}
		of = append(of, i)
		returns = append(returns, back)
	}
	if len(returns) == 0 {
		return tooMany, nil
	}

	reached, err := r.cfg.Suppression.CountReturns(ctx, r.cfg.Soft, returns)
	if err != nil {
		return nil, err
	}
	for k, i := range of {
		tooMany[i] = reached[k]
	}
	return tooMany, nil
}

// message names the message of a finding. Where it is not known, all that comes back on
// one day is one message.
func (f *finding) message() string {
	name := f.runID + "/" + strconv.Itoa(f.part) + "/" + strconv.Itoa(f.index)
	if f.run == nil {
		name = f.at(time.Now()).UTC().Format(time.DateOnly)
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// evidence returns what was said about a message, without addresses.
func evidence(n campaign.Notice) string {
	if n.Reply == "" {
		return n.Status
	}
	return address.Redact(n.Reply)
}
