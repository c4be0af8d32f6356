// Package throttle answers how fast: it hands out the moments at which one
// message body each may leave, and the connections that may be open, over all
// processes that share one Redis. The promise it keeps: limits are ceilings.
// However many workers run and die, no window of one second holds more slots
// than the limit allows.
//
// # Slots
//
// A limit is a line of points in time, at least one interval apart, kept in
// Redis: GCRA without burst. Each point is handed out once. The interval is
// 1/(0.98 x limit): the two percent pay for bodies that leave up to 20 ms after
// their slot (1.02 s x 0.98 is still below one second's worth). Whoever is later
// than that must reserve again.
//
//	        now      now+lead        now+lead+250ms
//	---------|----------|---------------------|-------------> time
//	     o   o   o   o  x   x   x   x         .   .
//	         holes      slots of this call    line goes on
//
// Points that a call skips because its lane cannot be ready in time (or that a
// second limit refuses) are not lost: they are holes in front of the line's end,
// and a lane that is quicker takes them. So a lane that needs two seconds to
// come to its body takes nothing from the others.
//
// With two limits, the run's and the account's, a body needs a point on both
// lines, which live in different hash slots. The run's line is asked first; the
// account's line then gives each of these points a partner at the same moment or
// at most 20 ms later, and the body leaves at the partner's moment. The account's
// ceiling therefore holds as it is; the run's holds because its interval is
// stretched by that delay. Points of the run without a partner go back as holes:
// nothing is wasted but the slots of a worker that died.
//
// Time is Redis's (TIME, read in the scripts). When it steps back, a line keeps
// the distance that it had in front of it. When it steps forward by d, up to d
// (at most lead + 250 ms) of points that were handed out already are handed out
// again; this and the loss of writes in a failover are all that remains.
//
// # Connections and closed accounts
//
// Conns is the budget of open connections of an account, counted per worker, in
// absolute numbers, so that a repeated command changes nothing and a wrong count
// mends itself. Each worker may have its share of what the account allows, at any
// time; more only when the others have not asked for theirs for two seconds. So a
// worker that dies holds no more than its share, and the others go on with theirs
// until it is taken off the list. Accounts remembers which accounts and which of
// their lanes are closed, why and until when.
package throttle
