package testkit

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are taken from below the range that Linux gives to outgoing
// connections: none of those can take the port of a server that is down.
const firstPort, lastPort = 12_000, 32_000

// Port returns a TCP port of 127.0.0.1 that was free a moment ago. Another
// server may take it before the caller's does: a caller that can must retry.
func Port(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("found no free port in 100 attempts")
	return 0
}
