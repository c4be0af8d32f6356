package sender

import (
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// An end says what happens to a recipient whose turn is over. The code that finds
// it out returns it, and [recipients.end] alone acts on it. The zero end is none: the
// work goes on.
type end struct {
	kind    endKind
	delay   time.Duration  // givenBack: not to be issued again before
	until   time.Time      // putBack: the run's recipients wait until then
	outcome ledger.Outcome // refused, settled

	claim  ledger.Entry // to be closed in the journal; zero: nothing was claimed
	unsure bool         // settled: the claim may not be in the ledger, the recipient is given back as well
	halted bool         // the run stands still: what else waits for it is given back

	confirm int // how many such replies it takes to believe that an address is dead; 0: this one

	decided  bool // the outcome is counted, and in the journal
	suppress bool // the address is to be suppressed first
	pause    bool // the run is to be paused first: it was one failure too many of its kind

	storm time.Time // since when too many addresses of the lane are dead; zero: they are not
}

type endKind int

const (
	unfinished endKind = iota
	dropped            // there is nothing to say: another worker or another task has the recipient
	givenBack          // returned to the ledger, unclaimed
	putBack            // waits at the front of its lane again
	refused            // has an outcome without a claim
	settled            // has an outcome of its claim
)

func drop() end { return end{kind: dropped} }

func giveBack(delay time.Duration) end { return end{kind: givenBack, delay: delay} }

func putBackUntil(t time.Time) end { return end{kind: putBack, until: t} }

func refuse(o ledger.Outcome) end { return end{kind: refused, outcome: o} }

func settle(claim ledger.Entry, o ledger.Outcome) end {
	return end{kind: settled, claim: claim, outcome: o}
}

// release is the end of a claim of which nothing was used.
func release(claim ledger.Entry, delay time.Duration) end {
	return settle(claim, ledger.Outcome{State: campaign.Pending, Delay: delay})
}
