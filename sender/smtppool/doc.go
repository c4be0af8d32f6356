// Package smtppool holds the SMTP connections of one account: Dial makes one,
// a Pool keeps them for the next message.
//
// It promises that the caller always knows what the server can have. A
// message is sent in two steps, so that a recipient can be claimed between
// them, at the last responsible moment:
//
//	if r := c.Envelope(ctx, from, to, len(msg)); r != nil {
//		return reply.Classify(*r)        // refused: nothing was sent
//	}
//	// the server said 354: claim the recipient now, or c.Abort()
//	out := c.Body(ctx, msg)              // whatever comes is in out.Reply
//	return reply.Classify(out.Reply)
//
//	       idle --Envelope--> (MAIL RCPT DATA) --354--> open --Body--> idle
//	         ^                     | refused             |
//	         +------- RSET --------+                     +--Abort--> closed, hard
//
// RSET goes in front of the next envelope, in the same write. Between 354 and
// the end of Body there is no way back but Abort: QUIT or RSET there would be
// part of the message, and closing in an orderly way could complete it.
//
// Outcome.Complete is false only when the server cannot have the message.
// The argument: the terminator is the end of what Body writes, and every
// write below reports how many bytes were taken. In plain text the kernel
// took exactly those; under TLS a record that was not wholly taken cannot be
// decrypted, and its bytes are not counted. So fewer bytes than all means that
// the last byte of CRLF.CRLF has not left, and Abort (SO_LINGER 0) makes sure
// that it never does. From that byte on only a reply says what happened.
//
// Each stage has a deadline of its own (RFC 5321 4.5.3.2); it is not
// prolonged by a byte that trickles in. A server gets at most 64 KiB between
// two writes of ours, and 4 KiB for a line.
//
// go-mail's smtp package knows the login mechanisms; the dialogue is ours.
// Credentials never leave without TLS except to loopback, or where the account
// allows it.
package smtppool
