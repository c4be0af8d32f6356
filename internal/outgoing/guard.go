package outgoing

import (
	"fmt"
	"net/netip"
	"syscall"
)

// notPublic are the addresses that do not lead to a host of the public Internet (IANA's
// registries of special-purpose addresses).
var notPublic = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // shared between a provider and its customers (CGNAT)
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, where clouds have their metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast

	"2001::/23",     // protocol assignments, Teredo
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4, which has an IPv4 address in it
	"3fff::/20",     // documentation
)

var (
	// global is where the public addresses of IPv6 are: everything outside it is loopback,
	// link-local, private, multicast or something else.
	global = netip.MustParsePrefix("2000::/3")
	// nat64 has an IPv4 address in its last four bytes (RFC 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// isPublic reports whether an address leads to a host of the public Internet, also when
// an address of IPv4 is written as one of IPv6.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Is6() && !global.Contains(a) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// A guard decides to which addresses a receiver's connections may lead. It is asked with
// the address itself, after the name was looked up, so that a name cannot be one address
// when it is checked and another one when it is used.
type guard struct {
	private  bool // allow_private
	loopback bool // the URL names this machine
}

// control is that of a net.Dialer.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: expected an IP address and a port", address)
	}
	ip := at.Addr()
	if g.private || isPublic(ip) || g.loopback && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("connect to %s: it is not an address of the public Internet; if it is your own network, set allow_private: true for this webhook", ip)
}
