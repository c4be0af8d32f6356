// Package ledger keeps the state of every recipient of every run. It is where
// Broadside's first promises are kept: no recipient is mailed twice, none is lost,
// and what is unknown is called unknown.
//
// Per run and part the ledger is one Redis string of five-byte cells. The
// ledger is its own queue: a cell's `when` says when the cell must be looked at
// again, and nothing else says what is due or under way. Tasks in asynq are
// hints that may be lost, doubled or late.
//
//	pending, deferred -> issued      Issue      the feeder hands it out
//	issued            -> issued      Issue      no sign of life: issued again
//	pending, issued, deferred -> failed         Issue: it has expired, or is stuck
//	pending, issued, sending, deferred -> uncertain
//	                                 Issue, Sweep, Refuse, Settle: in place of failed, cancelled or suppressed,
//	                                 after a try whose outcome is not known (on_uncertain: resend)
//	issued            -> pending     GiveBack   no room, lane closed, worker stops
//	pending, issued   -> sending     Claim      after 354, before the body
//	sending           -> accepted | deferred | bounced | failed | uncertain | pending | suppressed
//	                                 Settle     by the claim's token
//	pending, issued   -> deferred | bounced | failed | suppressed
//	                                 Refuse     refused before the body
//	uncertain, deferred -> accepted | bounced   a late reply, by the token; Resolve
//	sending           -> deferred               in place of uncertain, under on_uncertain: resend
//	failed            -> pending                Reopen: a guard stopped the run for these failures
//	pending, issued, deferred -> cancelled      Sweep
//	any -> what the journal says                Replay, to a Redis that went back in time: also to
//	                                            sending, for a claim that is still open
//
// In a cancelled run, a recipient that would become pending or deferred is cancelled.
// Every change is Lua on keys of one hash slot, {run:<id>}, and goes through
// the function move of lua/lib.lua: cell, counters and finish check change
// together. Every script may run twice, because go-redis resends commands after a
// broken connection. Only the commands of a Line are never resent (see Claims in
// internal/store).
//
// A worker is on the list of workers with a counter that it raises every five
// seconds (see Member). It logs every claim in its Journal before it makes it, so
// that the journal can be replayed to a Redis that went back in time.
package ledger
