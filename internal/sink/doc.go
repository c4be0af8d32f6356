// Package sink is an SMTP server that delivers nothing: the other end for
// first steps, the demo, the bench and tests.
//
// Its promise: what it says is what it did. A message is counted, recorded and
// stored before its 250 leaves, and none other is; a message whose final dot
// did not arrive is nowhere. Everything after CRLF.CRLF, and nothing else,
// ends a message (RFC 5321, 4.1.1.4), so that a sender that stuffs its dots
// wrongly shows.
//
// The recipient's local part chooses the reply; text after + is ignored, so
// that bounce+7@example.test is one of many:
//
//	defer@           450 4.2.0 always
//	defer-2x@        450 4.2.0 the first two times (any number to 999), then 250
//	bounce@          550 5.1.1
//	policy@          550 5.7.1
//	full@            452 4.2.2
//	drop@            the connection closes at RCPT
//	drop-after-dot@  takes the message, closes without a reply
//	slow@            2 s before each reply, from RCPT to the end of the message
//	anything else    250
//
// It offers PIPELINING (replies to commands that came together leave in one
// write), SIZE, 8BITMIME, SMTPUTF8 and ENHANCEDSTATUSCODES. There is no TLS,
// no AUTH and no relay: it is meant for loopback.
//
//	s, err := sink.Listen("127.0.0.1:2525", sink.Config{Out: "mail"})
//	...
//	s.Serve(ctx) // until ctx ends
package sink
