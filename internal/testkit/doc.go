// Package testkit starts the real servers that Broadside's tests run against:
// redis-server, Postfix, exim, OpenSMTPD, Dovecot, PostgreSQL, a recording SMTP sink, and the
// broadside binary itself, each as a process of its own; and the network to them, which
// can be long or cut (NewWire).
//
// Its promise: what a test started is gone when the test ends, however it
// ends. Every process listens on a private port of 127.0.0.1, keeps its files
// in a temporary directory, is ended by its own pid in Cleanup, and on Linux
// by the kernel when the test binary dies first (Postfix: within 15 minutes).
// Nothing is shared between tests, so all of it may be used from parallel ones.
//
// What such a server does comes in its own time: tests wait for a line of its
// output (Proc), or ask again and again (Tries), and never sleep for it.
//
// A missing program is a failure that names the Debian package, never a skip:
// a test that did not run has shown nothing. Short runs alone leave out what starts
// a server from elsewhere (NeedsServer).
//
// The package is for _test.go files alone; it imports testing and must not be
// linked into the binary.
package testkit
