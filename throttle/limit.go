package throttle

import (
	"cmp"
	"fmt"
	"slices"
)

// A Limit is a ceiling on the pace of a campaign, of an account, or of what an
// account sends to one mailbox provider or to one domain. It names Campaign alone,
// or Account and at most one of Provider and Domain.
type Limit struct {
	Campaign string // run of a campaign: any key that its processes agree on
	Account  string
	Provider string
	Domain   string
	Rate     float64 // messages a second; 0: there is no limit
}

// Slow reports whether the next slot is so far away that one which was not used is
// worth giving back.
func (l Limit) Slow() bool { return l.Rate > 0 && interval(l.Rate) >= slow }

// check reports what is wrong with the names of a limit.
func (l Limit) check() error {
	if l.Campaign != "" && l.Account+l.Provider+l.Domain != "" {
		return fmt.Errorf("limit of campaign %q names an account too (%q): expected one of them", l.Campaign, l.Account)
	}
	if l.Campaign == "" && l.Account == "" {
		return fmt.Errorf("limit of provider %q, domain %q names no account and no campaign", l.Provider, l.Domain)
	}
	if l.Provider != "" && l.Domain != "" {
		return fmt.Errorf("limit of account %q names a provider (%q) and a domain (%q): expected one of them", l.Account, l.Provider, l.Domain)
	}
	return nil
}

// line returns where the points of the limit are.
func (l Limit) line(prefix string) line {
	tag, part := "{acct:"+l.Account+"}", ""
	switch {
	case l.Campaign != "":
		tag = "{camp:" + l.Campaign + "}"
	case l.Provider != "":
		part = "provider:" + l.Provider + ":"
	case l.Domain != "":
		part = "domain:" + l.Domain + ":"
	}
	base := prefix + ":" + tag + ":" + part
	return line{tag: tag, slot: base + "slot", holes: base + "holes", rate: l.Rate}
}

// order returns the place of a limit on its route: the narrow ones come first. The
// account's, which most messages share, comes last, because the last limit of a route
// is not stretched.
func (l Limit) order() int {
	switch {
	case l.Campaign != "":
		return 0
	case l.Domain != "":
		return 1
	case l.Provider != "":
		return 2
	}
	return 3
}

// inOrder returns the limits in the order of their chain.
func inOrder(limits []Limit) []Limit {
	limits = slices.Clone(limits)
	slices.SortStableFunc(limits, func(a, b Limit) int { return cmp.Compare(a.order(), b.order()) })
	return limits
}
