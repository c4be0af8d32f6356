// Package scheduler decides when: it makes runs out of campaigns and hands
// their recipients out as their time comes.
//
// A Maker makes every run, of a launch, an occurrence or a retry: it names the run,
// once where there may be one only, expands the audience, and makes the run ready, or
// leaves nothing. Expand turns an audience into recipients; nothing is sent until the
// whole audience is in. A Feeder sweeps the ledger of each active run and issues the
// recipients that are due, up to a backlog per part, so that Redis memory does not
// grow with the list and a paused run stops at once. Schedules keeps campaigns
// until their time; a Firer fires each occurrence exactly once, and records what
// was missed.
//
// The feeder lives here and runs in every worker process, under a lease per
// run: a lone worker is enough to finish a run.
package scheduler
