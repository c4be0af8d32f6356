package testkit

import (
	"net"
	"testing"
)

// Port returns a TCP port of 127.0.0.1 that was free a moment ago. Another
// process may take it before the server does: a caller that can must retry.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
