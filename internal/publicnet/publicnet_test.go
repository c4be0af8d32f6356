package publicnet

import (
	"net/netip"
	"strings"
	"testing"
)

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		want    bool
	}{
		{"93.184.215.14", true},
		{"9.255.255.255", true},
		{"11.0.0.0", true},
		{"172.15.255.255", true},
		{"172.32.0.0", true},
		{"100.63.255.255", true},
		{"100.128.0.0", true},
		{"2606:2800:21f:cb07:6820:80da:af6b:8b2c", true},
		{"2a00::1", true},
		{"::ffff:93.184.215.14", true},
		{"64:ff9b::5db8:d70e", true}, // NAT64 of 93.184.215.14

		{"0.0.0.0", false},
		{"10.1.2.3", false},
		{"100.64.0.1", false},
		{"127.0.0.1", false},
		{"127.255.255.254", false},
		{"169.254.169.254", false},
		{"172.16.0.1", false},
		{"172.31.255.255", false},
		{"192.0.0.8", false},
		{"192.0.2.1", false},
		{"192.168.1.1", false},
		{"198.19.0.1", false},
		{"203.0.113.9", false},
		{"224.0.0.1", false},
		{"239.255.255.250", false},
		{"240.0.0.1", false},
		{"255.255.255.255", false},

		{"::", false},
		{"::1", false},
		{"::10.0.0.1", false},             // IPv4-compatible
		{"::ffff:10.0.0.1", false},        // IPv4-mapped
		{"::ffff:127.0.0.1", false},       //
		{"::ffff:169.254.169.254", false}, //
		{"64:ff9b::a00:1", false},         // NAT64 of 10.0.0.1
		{"64:ff9b::7f00:1", false},        // NAT64 of 127.0.0.1
		{"64:ff9b:1::a00:1", false},       // NAT64 of a network's own
		{"100::1", false},                 // discard
		{"2001::1", false},                // Teredo
		{"2001:db8::1", false},            // documentation
		{"2002:a00:1::1", false},          // 6to4 of 10.0.0.1
		{"3fff::1", false},                // documentation
		{"fc00::1", false},                // private
		{"fd12:3456:789a::1", false},      // private
		{"fe80::1", false},                // link-local
		{"fe80::1%eth0", false},           //
		{"fec0::1", false},                // site-local
		{"ff02::1", false},                // multicast
		{"4000::1", false},                // of no one
	} {
		if got := IsPublic(netip.MustParseAddr(test.address)); got != test.want {
			t.Errorf("%s: got %v, want %v", test.address, got, test.want)
		}
	}
	if IsPublic(netip.Addr{}) {
		t.Error("no address at all is public")
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		guard   Guard
		address string
		want    string // of the error; empty: none
	}{
		{"public", Guard{}, "93.184.215.14:443", ""},
		{"private", Guard{}, "10.0.0.1:443", "allow_private: true"},
		{"private, allowed", Guard{Private: true}, "10.0.0.1:443", ""},
		{"private, for a URL of this machine", Guard{Loopback: true}, "10.0.0.1:443", "allow_private: true"},
		{"loopback", Guard{}, "127.0.0.1:80", "allow_private: true"},
		{"loopback, for a URL of this machine", Guard{Loopback: true}, "127.0.0.1:80", ""},
		{"mapped loopback, for a URL of this machine", Guard{Loopback: true}, "[::ffff:127.0.0.1]:80", ""},
		{"metadata by IPv6", Guard{}, "[::ffff:169.254.169.254]:80", "allow_private: true"},
		{"a zone", Guard{}, "[fe80::1%eth0]:80", "allow_private: true"},
		{"no address", Guard{Private: true}, "crm.acme.example:443", "expected an IP address"},
	} {
		err := test.guard.Control("tcp", test.address, nil)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.acme.example": false, "10.0.0.1": false, "0.0.0.0": false, "::": false, "acme.example": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}
