// Package person answers what is known of one address, and erases it.
//
// It promises that after [People.Erase] no list, no run and no suppression in Redis has
// the address, and that it is not mailed all the same: its hash stays on the suppression
// list. docs/privacy.md says what else there is, and how it ends.
//
// In a run the recipient keeps its number, as cells, claims and receipts go by it: the
// row becomes that of a mailbox in a domain that does not exist and is suppressed.
package person
