//go:build !unix

package smtppool

import "net"

// readable reports whether a connection has something to read. Without a way to
// look, the next command will tell.
func readable(net.Conn) bool { return false }
