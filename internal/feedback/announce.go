package feedback

import (
	"context"
	"encoding/base64"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
)

// An Announcer tells others what came back about recipients; *outgoing.Outbox is one. It
// returns nil when that will be told. Told twice the same thing is the same event.
type Announcer interface {
	Announce(ctx context.Context, all []campaign.RecipientEvent) error
}

// Marks show what was counted and told of a run before; *ledger.Ledger has them.
type Marks interface {
	Counted(ctx context.Context, r *ledger.Run, all []ledger.After) ([]bool, error)
	ToldOf(ctx context.Context, r *ledger.Run, names []string) ([]bool, error)
	NoteToldOf(ctx context.Context, r *ledger.Run, names []string) error
}

// announced are the classes that are told, and as what.
var announced = map[campaign.Class]campaign.WebhookEvent{
	campaign.ClassHard:         campaign.WebhookBounced,
	campaign.ClassSoft:         campaign.WebhookBounced,
	campaign.ClassComplaint:    campaign.WebhookComplained,
	campaign.ClassUnsubscribed: campaign.WebhookUnsubscribed,
}

// announce tells what findings say about people that are known, once.
//
// It comes before the counting, by which the next time shows that it was told: when a
// process dies between the two it is told once more, and not never.
func (r *Recorder) announce(ctx context.Context, all []*finding) error {
	if r.cfg.Announcer == nil {
		return nil
	}
	news, err := r.untold(ctx, all)
	if err != nil || len(news) == 0 {
		return err
	}

	now := time.Now()
	events := make([]campaign.RecipientEvent, len(news))
	for i, f := range news {
		events[i] = f.event(now)
	}
	if err := r.cfg.Announcer.Announce(ctx, events); err != nil {
		return err
	}
	return r.noteTold(ctx, news)
}

// untold returns the findings that are to be told and were not before.
func (r *Recorder) untold(ctx context.Context, all []*finding) ([]*finding, error) {
	var news []*finding
	counted := map[*ledger.Record][]*finding{} // their marks are those of counting
	named := map[*ledger.Record][]*finding{}   // they have marks of their own
	for _, f := range all {
		switch {
		case announced[f.class] == "" || !f.proven || f.address == "":
		case f.run == nil:
			// The journal knows a notice that comes again, and the event has the same id.
			news = append(news, f)
		case f.hasOwnMark():
			named[f.run] = append(named[f.run], f)
		default:
			counted[f.run] = append(counted[f.run], f)
		}
	}

	for run, of := range counted {
		afters := make([]ledger.After, len(of))
		for i, f := range of {
			afters[i] = f.after()
		}
		before, err := r.cfg.Marks.Counted(ctx, run.Handle(), afters)
		if err != nil {
			return nil, err
		}
		news = appendNot(news, of, before)
	}
	for run, of := range named {
		names := make([]string, len(of))
		for i, f := range of {
			names[i] = f.toldName()
		}
		before, err := r.cfg.Marks.ToldOf(ctx, run.Handle(), names)
		if err != nil {
			return nil, err
		}
		news = appendNot(news, of, before)
	}
	return news, nil
}

func appendNot(to, of []*finding, before []bool) []*finding {
	for i, f := range of {
		if !before[i] {
			to = append(to, f)
		}
	}
	return to
}

// noteTold marks those findings that have a mark of their own as told.
func (r *Recorder) noteTold(ctx context.Context, news []*finding) error {
	names := map[*ledger.Record][]string{}
	for _, f := range news {
		if f.run != nil && f.hasOwnMark() {
			names[f.run] = append(names[f.run], f.toldName())
		}
	}
	for run, of := range names {
		if err := r.cfg.Marks.NoteToldOf(ctx, run.Handle(), of); err != nil {
			return err
		}
	}
	return nil
}

// hasOwnMark reports whether it is noted by itself that others were told. Counting has one
// mark for bounces of both kinds, and one for an unsubscribe from any topic.
func (f *finding) hasOwnMark() bool {
	return f.class == campaign.ClassUnsubscribed || f.class == campaign.ClassHard
}

// toldName names what an unsubscribe is from, or that a bounce is for good, and whose it
// is, without the address.
func (f *finding) toldName() string {
	what := f.topic
	if f.class == campaign.ClassHard {
		what = "!hard" // no topic
	}
	hash := address.Hash(f.address)
	if a, err := address.Parse(f.address); err == nil {
		hash = a.Hash()
	}
	return "*" + base64.RawStdEncoding.EncodeToString(hash[:12]) + " " + what
}

// event returns what is told about a finding.
func (f *finding) event(now time.Time) campaign.RecipientEvent {
	e := campaign.RecipientEvent{
		Event: announced[f.class], Run: f.runID, Part: f.part, Index: f.index,
		Address: f.address, Topic: f.topic, Account: f.account(),
		Enhanced: f.notice.Status, Reply: f.notice.Reply, Permanent: f.class == campaign.ClassHard,
		At: f.at(now), Source: f.notice.Source,
	}
	if f.class == campaign.ClassUnsubscribed {
		e.Index = -1 // by a link the place is not known, and by another road it may be
	}
	if f.run == nil {
		e.Index = -1
		e.Name = f.notice.ID
		if e.Name == "" {
			e.Name = e.At.UTC().Format(time.DateOnly)
		}
	}
	return e
}
