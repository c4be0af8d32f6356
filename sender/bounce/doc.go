// Package bounce reads what mail systems and readers send back: bounce messages, with
// or without a standard, and feedback reports.
//
//	notices, err := bounce.Decode(message)
//	for _, n := range notices {
//		class, reason, confirm := bounce.Judge(rules, n)
//	}
//
// [Decode] says what a message claims, [Judge] what that comes to by the rules of
// package reply. Nothing is looked up: whose message it was is for those to find out
// who know the tokens and the runs.
//
// The promises:
//   - An address in use is never called dead. Hard comes out only where a reply rule,
//     or a status code without any words, says that there is no such address; of two
//     readings of a text the milder one counts, and what is not understood is soft.
//   - A message that is late is delayed and no more.
//   - Nothing that a person could read is refused: line ends, headers, encodings and
//     boundaries may be broken. Only what has no header at all is no message.
//   - The cost of a message is bounded, whatever is in it: 1 MiB of it is looked at.
//     What is compressed is never unpacked.
//
// A message is read in this order: feedback report (RFC 5965), delivery status
// (RFC 3464, RFC 6533), text. The text is understood by the tables of marks.go, which
// tell what it is, and forms.go, which find recipients and replies in it.
//
// The package is pure: no network, no clock.
package bounce
