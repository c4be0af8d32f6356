// Package campaign holds the domain of Broadside: campaign definitions, what a run is
// made from (RunSpec, Snapshot), the states of runs and recipients, events, guards,
// and mailbox providers.
//
// It is pure: no Redis, no HTTP, no clock. Everything here is a value that
// the other packages agree on; schedules are raw text here and parsed by
// scheduler/calendar.
package campaign
