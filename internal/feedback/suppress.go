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

// confirmDead counts messages that came back with a reply which says that the address is
// dead, and is believed only when it comes again. The last one that it takes makes the
// finding a hard one: as while sending, which counts such replies in the same place.
func (r *Recorder) confirmDead(ctx context.Context, all []*finding) error {
	var of []*finding
	var wanted []int
	var signs []suppression.Return
	now := time.Now()
	for _, f := range all {
		if f.confirm < 2 || !f.proven || f.address == "" {
			continue
		}
		of = append(of, f)
		wanted = append(wanted, f.confirm)
		signs = append(signs, suppression.Return{Address: f.address, At: f.at(now), Message: f.message()})
	}
	if len(signs) == 0 {
		return nil
	}

	confirmed, err := r.cfg.Suppression.ConfirmReturns(ctx, wanted, signs)
	if err != nil {
		return err
	}
	for i, f := range of {
		if confirmed[i] {
			f.class = campaign.ClassHard
		}
	}
	return nil
}

// suppress puts the addresses of findings on the list.
func (r *Recorder) suppress(ctx context.Context, all []*finding) error {
	var of []*finding
	var entries []suppression.Entry
	for _, f := range all {
		if !f.proven || f.address == "" {
			continue
		}
		e := r.entryOf(f)
		switch f.class {
		case campaign.ClassHard:
			e.Reason = suppression.ReasonBounce
		case campaign.ClassComplaint:
			e.Reason = suppression.ReasonComplaint
		case campaign.ClassUnsubscribed:
			e.Reason = suppression.ReasonUnsubscribe
			if f.topic != "" {
				e.Scope = suppression.Topic(f.topic)
			}
		default:
			continue
		}
		of = append(of, f)
		entries = append(entries, e)
	}
	return r.add(ctx, of, entries)
}

// entryOf returns an entry for the address of a finding, without a reason.
func (r *Recorder) entryOf(f *finding) suppression.Entry {
	e := suppression.Entry{
		Address: f.address, Scope: suppression.All, Source: f.notice.Source, Run: f.runID, Evidence: evidence(f.notice),
	}
	if !f.notice.At.IsZero() {
		e.At = f.at(time.Now())
	}
	return e
}

// add puts the entries of findings on the list, to last.
func (r *Recorder) add(ctx context.Context, of []*finding, entries []suppression.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, addWithin)
	defer cancel()
	barrier, server := r.replayer.current()
	noted, err := r.cfg.Suppression.AddLasting(ctx, barrier, entries...)
	if err != nil {
		return err
	}

	news := noted.Added > 0
	for _, e := range entries {
		if e.At.IsZero() {
			e.At = noted.At
		}
		first := r.replayer.remember(ctx, e, server, noted)
		news = news || first
	}
	if news {
		f := of[0]
		r.log.InfoContext(ctx, string(effects[f.class].kind), "run", f.runID, "topic", f.topic, "source", f.notice.Source,
			"new", noted.Added > 0, "entries", len(entries))
	}
	return nil
}

// addUp counts messages that came back although the address may be in use, and puts the
// address on the list when they are too many. That a message arrived, or was answered by
// its reader, takes back those before it.
func (r *Recorder) addUp(ctx context.Context, all []*finding) error {
	if r.cfg.Soft.Messages == 0 {
		return nil
	}

	var of []*finding
	var returns []suppression.Return
	now := time.Now()
	for _, f := range all {
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
		of = append(of, f)
		returns = append(returns, back)
	}
	if len(returns) == 0 {
		return nil
	}

	tooMany, err := r.cfg.Suppression.CountReturns(ctx, r.cfg.Soft, returns)
	if err != nil {
		return err
	}
	var dead []*finding
	var entries []suppression.Entry
	for i, f := range of {
		if !tooMany[i] {
			continue
		}
		e := r.entryOf(f)
		e.Reason = suppression.ReasonBounce
		e.Evidence = fmt.Sprintf("%d messages within %s came back, the last one with: %s",
			r.cfg.Soft.Messages, units.FormatDuration(r.cfg.Soft.Within), e.Evidence)
		dead = append(dead, f)
		entries = append(entries, e)
	}
	return r.add(ctx, dead, entries)
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
