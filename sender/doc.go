// Package sender is how mail goes out: it takes recipients from the queue,
// makes their messages and hands them to SMTP servers, each account within its
// limits.
//
//	task -> run cache -> lane (account x mailbox provider)   handle never waits
//	lane -> slot -> look -> connection -> envelope -> claim -> body -> settle
//	                                                          deliver, one goroutine per connection
//
// It keeps three promises. A recipient is claimed in the ledger after the
// server's 354 and before the first byte of the body, so that nobody is mailed
// twice. A slow or dead account slows nobody else: each account has its own
// goroutines, and what has no room is given back at once. A limit is a
// ceiling: the gate is right before the body.
package sender
