// Package sender is how mail goes out: it takes recipients from the queue,
// makes their messages and hands them to SMTP servers, each account within its
// limits.
//
//	Worker      takes tasks and finds the run and the recipient of each
//	recipients  those under way: they find a lane for each, and act on its end
//	delivery    one goroutine per connection: a transaction for each recipient
//	account     lanes, which say which recipient is next, and a route, which has the connections
//
//	task -> run cache -> lane (account x mailbox provider)   handle never waits
//	lane -> slot -> look -> connection -> envelope -> claim -> body -> end
//
// Calls go down this list, and results come back as values. A recipient has one
// owner at a time and one end: what happens to it is an end, which
// [recipients.end] carries out.
//
// The package keeps three promises. A recipient is claimed in the ledger after the
// server's 354 and before the first byte of the body, so that none is mailed twice.
// A slow or dead account slows down no other: each account has its own goroutines,
// and a recipient for which there is no room is given back at once. A limit is a
// ceiling: the gate is right before the body.
package sender
