package runs

import (
	"context"
	"errors"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/throttle"
)

// maxLooked is how many recipients of the long tail are looked at to find out which of
// its domains a run waits for. Of a run with more of them every domain counts that was
// not found: one among so many is likely.
const maxLooked = 50_000

// errLooked ends a look at recipients.
var errLooked = errors.New("looked at enough")

// shutDomains returns the domains of the long tail whose lanes take less or nothing.
func shutDomains(now time.Time, lanes map[string]map[string]throttle.Lane) map[string]bool {
	shut := map[string]bool{}
	for _, byName := range lanes {
		for name, l := range byName {
			if isDomain(name) && l.State(now) != throttle.LaneOpen {
				shut[name] = true
			}
		}
	}
	return shut
}

// isDomain reports whether a lane is of one domain, and not of a mailbox provider.
func isDomain(lane string) bool { return !slices.Contains(campaign.Providers, campaign.Provider(lane)) }

// withoutRecipients returns those of the domains in which no recipient of the run waits.
// A run whose recipients cannot be read may have some in all of them.
func (r *Runs) withoutRecipients(ctx context.Context, run *ledger.Run, domains map[string]bool) map[string]bool {
	if len(domains) == 0 {
		return nil
	}

	looked := 0
	look := func(_, _ int, cell ledger.Cell, row audience.Row) error {
		if !cell.State.Final() {
			delete(domains, row.Address.Domain)
		}
		looked++
		if len(domains) == 0 || looked == maxLooked {
			return errLooked
		}
		return nil
	}
	for _, p := range run.Sizes {
		if campaign.Providers[p.Part] != campaign.Other {
			continue
		}
		if err := r.eachOf(ctx, run, p, look); err != nil {
			return nil
		}
	}
	return domains
}
