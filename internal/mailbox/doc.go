// Package mailbox reads the mailboxes to which bounces come, by IMAP (RFC 3501, RFC 9051)
// and POP3 (RFC 1939), and hands each message to a [Sink].
//
// Its promise: every message is handed over at least once, and the mailbox is told to
// forget it (it is moved, flagged or deleted) only after the sink has stored it.
// Whatever dies in between, the message comes again; so a sink must be idempotent.
//
//	fetch -> Sink.Ingest -> nil                    -> move, flag or delete
//	                     -> failure.ErrInvalid,
//	                        a panic, or 10 s over  -> quarantine
//	                     -> any other error        -> nothing; it comes again
//
// One message that cannot be used must not keep the others back. It goes to quarantine:
// with IMAP to the folder [QuarantineFolder]; with POP3 it stays in the mailbox and is not
// fetched again. Both are counted and logged.
//
// A [Poller] looks into every mailbox at intervals, and with IMAP waits for new mail in
// between (IDLE, RFC 2177). Of several processes the one that holds the mailbox's lease
// does so. The lease saves work and protects nothing: two readers of one mailbox hand
// messages over twice and lose none.
//
// Every step on the network has a deadline and a limit of bytes (docs/limits.md), and
// certificates are verified. No password is in an error or a log line.
package mailbox
