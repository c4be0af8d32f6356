// Package listener takes bounces by SMTP (RFC 5321) and LMTP (RFC 2033), both on one
// address: what a client says first, EHLO or LHLO, tells which it is.
//
// It is no relay: it takes mail to the domain of the return paths and refuses all other
// recipients with 550 5.7.1. Its promise: the reply 250 comes after the sink has stored
// the message. When that fails now, the reply is 451, and the client keeps the message
// and tries again.
//
// A message goes to the sink with the recipients of its envelope. A field Return-Path with
// its sender is put in front, as at every final delivery (RFC 5321, 4.4).
//
// It offers neither TLS nor logins. To take mail from the internet, put your own mail
// server in front of it (docs/mailboxes.md).
package listener
