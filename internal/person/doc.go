// Package person answers what is known of one address and what happened to it, and
// erases it.
//
// It promises that after [People.Erase] no list, no run and no suppression in Redis has
// the address, and that it is not mailed all the same: its hash stays on the suppression
// list. docs/privacy.md says what else there is, and how it ends.
//
// [People.Trace] tells what happened in the order of time, from what is kept anyway: nothing
// is stored for it but a note about each message that came back. Of the replies to one
// recipient a run keeps the last.
//
// In a run the recipient keeps its number, as cells, claims and receipts go by it: the
// row becomes that of a mailbox in a domain that does not exist and is suppressed.
package person
