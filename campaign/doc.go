// Package campaign holds the words of Broadside: what a campaign is, which
// states a run and a recipient can be in, and which mailbox provider an
// address belongs to.
//
// It is pure: no Redis, no HTTP, no clock. Everything here is a value that
// the other packages agree on; schedules are raw text here and parsed by
// scheduler/calendar.
package campaign
