package subscribe

import "net/netip"

// limitedNetwork returns the network whose requests are counted together: what one
// customer of a provider has as a rule. It is empty for an address that is none.
func limitedNetwork(a netip.Addr) string { return cut(a, 24, 64) }

// shownNetwork returns what a proof has of the network: it tells a region or a company,
// and no household.
func shownNetwork(a netip.Addr) string { return cut(a, 24, 48) }

func cut(a netip.Addr, bits4, bits6 int) string {
	if !a.IsValid() {
		return ""
	}
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
