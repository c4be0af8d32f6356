package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientOf returns the address that a request comes from. What a proxy in front of this
// process says of it is believed when the request comes from a private network or this
// machine, as those of proxies do: the last address, which the proxy itself has written.
func clientOf(r *http.Request) netip.Addr {
	peer := addrOf(r.RemoteAddr)
	if peer.IsValid() && !peer.IsPrivate() && !peer.IsLoopback() && !peer.IsLinkLocalUnicast() {
		return peer
	}
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if client := addrOf(strings.TrimSpace(forwarded[len(forwarded)-1])); client.IsValid() {
		return client
	}
	return peer
}

// addrOf reads an address, with a port or without.
func addrOf(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}
