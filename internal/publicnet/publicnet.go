// Package publicnet keeps connections to addresses that people write into files on the
// public Internet: a name that leads into the own network, or to the metadata of a cloud,
// is refused unless the file says that it is meant.
//
// A [Guard] is the Control of a net.Dialer. It is asked with the address itself, after the
// name was looked up and for each connection, so that a name cannot be one address when it
// is checked and another one when it is used, and a redirect leads to nowhere else.
package publicnet

import (
	"fmt"
	"net/netip"
	"strings"
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

// IsPublic reports whether an address leads to a host of the public Internet, also when
// an address of IPv4 is written as one of IPv6.
func IsPublic(a netip.Addr) bool {
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

// IsLoopback reports whether a host of a URL names this machine.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// A Guard decides to which addresses connections may lead. The zero Guard allows those of
// the public Internet.
type Guard struct {
	Private  bool   // allow_private
	Loopback bool   // the URL names this machine, which is allowed then
	What     string // what allow_private: true is set for, such as "this webhook"
}

// Control is that of a net.Dialer.
func (g Guard) Control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: expected an IP address and a port", address)
	}
	ip := at.Addr()
	if g.Private || IsPublic(ip) || g.Loopback && ip.Unmap().IsLoopback() {
		return nil
	}
	return &PrivateError{IP: ip, What: g.What}
}

// A PrivateError is returned for an address that is not one of the public Internet.
type PrivateError struct {
	IP   netip.Addr
	What string // as the Guard has it
}

func (e *PrivateError) Error() string {
	return fmt.Sprintf("connect to %s: it is not an address of the public Internet; if it is your own network, set allow_private: true for %s", e.IP, e.What)
}
