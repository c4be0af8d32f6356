package throttle

import (
	"cmp"
	"fmt"
	"slices"
)

// A Limit is a ceiling on the pace of a campaign, of an account, or of what an
// account sends to one mailbox provider or to one domain. It names Campaign alone,
// or Account and at most one of Provider, Domain and Opens.
type Limit struct {
	Campaign string // run of a campaign: any key that its processes agree on
	Account  string
	Provider string
	Domain   string
	Opens    bool    // counts connections that are opened, not messages; it stands alone
	Rate     float64 // messages a second; 0: there is no limit
	Quotas   []Quota // of an account alone
}

// Scarce reports whether a slot that was not used is worth giving back: the next one
// is far away, or it has been counted by a quota.
func (l Limit) Scarce() bool { return l.Slow() || len(l.Quotas) > 0 }

// Counts reports whether the limit limits anything.
func (l Limit) Counts() bool { return l.Rate > 0 || len(l.Quotas) > 0 }

// Slow reports whether the next slot is far away.
func (l Limit) Slow() bool { return l.Rate > 0 && interval(l.Rate) >= slow }

// ofAccount reports whether the limit counts for all that leaves by the account.
func (l Limit) ofAccount() bool {
	return l.Campaign == "" && l.Provider == "" && l.Domain == "" && !l.Opens
}

// check reports what is wrong with a limit.
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
	if l.Opens && l.Campaign+l.Provider+l.Domain != "" {
		return fmt.Errorf("limit of connections opened names campaign %q, provider %q, domain %q: expected an account alone", l.Campaign, l.Provider, l.Domain)
	}
	if len(l.Quotas) > 0 && !l.ofAccount() {
		return fmt.Errorf("limit of campaign %q, provider %q, domain %q has quotas: expected them at an account alone", l.Campaign, l.Provider, l.Domain)
	}
	return nil
}

// line returns where the points of the limit are.
func (l Limit) line(prefix string) line {
	part := ""
	switch {
	case l.Opens:
		part = "opens:"
	case l.Provider != "":
		part = "provider:" + l.Provider + ":"
	case l.Domain != "":
		part = "domain:" + l.Domain + ":"
	}
	base := prefix + ":" + l.tag() + ":" + part
	return line{tag: l.tag(), slot: base + "slot", free: base + "free", rate: l.Rate}
}

// tag is the hash tag of the keys of the limit.
func (l Limit) tag() string {
	if l.Campaign != "" {
		return "{camp:" + l.Campaign + "}"
	}
	return accountTag(l.Account)
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
