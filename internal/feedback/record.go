package feedback

import (
	"context"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// recordWithin bounds the work for one call of Record.
const recordWithin = 30 * time.Second

// A finding is a notice, and what was found out about it.
type finding struct {
	notice campaign.Notice
	came   time.Time // when it was told to the recorder
	class  campaign.Class
	reason string // why it is of that class, or is not trusted

	confirm int // how many messages like it make the address dead; 0: this one decides by itself

	run         *ledger.Record // whose message it is about; nil: it is not known, or gone
	runID       string         // of the run, also when that is gone
	part, index int            // of the recipient; an index of -1 is not known
	address     string         // of the recipient; empty: it is not known
	topic       string         // what an unsubscribe is from; empty: everything

	trusted bool // the message was ours: it counts
	proven  bool // and it was this address's: it suppresses
	counted bool // it was counted now, and not before
}

// Record records what notices say. nil means that everything is stored and will last, or
// is of no use. After an error nothing is lost if the notices come again.
func (r *Recorder) Record(ctx context.Context, notices []campaign.Notice) error {
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()

	notices, err := r.cfg.Journal.unseen(ctx, notices)
	if err != nil || len(notices) == 0 {
		return err
	}

	came := time.Now()
	all := make([]*finding, len(notices))
	for i, n := range notices {
		all[i] = &finding{notice: n, came: came, index: -1}
		all[i].class, all[i].reason, all[i].confirm = r.cfg.Judge(n)
	}

	// Each step may be done twice, and none is left out: when one fails all of them are
	// done again. That the notices were seen comes last.
	for _, step := range []func(context.Context, []*finding) error{r.identify, r.confirmDead, r.suppress, r.addUp, r.announce, r.count, r.warn, r.note} {
		if err := step(ctx, all); err != nil {
			return err
		}
	}
	return nil
}

// warn tells which accounts readers have complained about. What was counted before was
// told before; an account that is not told once too often is better than one that
// is told twice.
func (r *Recorder) warn(ctx context.Context, all []*finding) error {
	if r.cfg.Complained == nil {
		return nil
	}
	for _, f := range all {
		if !f.counted || f.class != campaign.ClassComplaint || f.account() == "" {
			continue
		}
		if err := r.cfg.Complained(ctx, f.account()); err != nil {
			r.log.WarnContext(ctx, "complaint not counted for its account", "account", f.account(), "err", err)
		}
	}
	return nil
}

// account returns the account that the message went by; empty where that is not known,
// because the run had several.
func (f *finding) account() string {
	if f.run == nil || len(f.run.Accounts) != 1 {
		return ""
	}
	return f.run.Accounts[0]
}

// at returns when it happened, and now where the notice does not say or cannot be right.
func (f *finding) at(now time.Time) time.Time {
	at := f.notice.At
	if at.IsZero() || at.After(now) || f.run != nil && at.Before(f.run.Created) {
		return now
	}
	return at
}
