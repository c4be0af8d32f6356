// Package throttle answers how fast: it hands out the moments at which a message
// body may leave, and the connections that may be open, over all processes that
// share one Redis. The promise it keeps: limits are ceilings.
// However many workers run and die, no window of one second holds more slots
// than the limit allows, and no window of a quota more messages than the quota.
//
// # Slots
//
// A limit is a line of points in time, at least one interval apart, kept in
// Redis: GCRA without burst. Each point is handed out once. The interval is
// 1/(0.98 x limit): the two percent pay for bodies that leave up to 20 ms after
// their slot (1.02 s x 0.98 is still below one second's worth). A body
// that is later needs another slot.
//
//	        now      now+lead        now+lead+250ms
//	---------|----------|---------------------|-------------> time
//	     [ free stretch )  x   x   x   x   [ end of the line: free
//	                     slots of this call
//
// What a call skips because its lane cannot be ready in time (or because a second limit
// refuses) is not lost: it is a free stretch in front of the line's end, and a lane
// that is quicker takes its points from there. So a lane that needs two seconds to
// reach its body takes nothing from the others. A line keeps up to 32 stretches.
//
// A body needs a point on the line of every Limit that counts for it: its run's,
// and those of the account, of its provider there and of its domain there. The body
// leaves at the latest of them, at most 20 ms after each. A ceiling holds for bodies
// though it counts points: the interval is stretched by the delay that is allowed. The
// account's allows none if it is slow, for most messages share it, else 1 ms. Where the
// lines have room, a call takes points in a row: of fast lines this costs hardly more
// than a single one.
//
// The lines of an account are in one hash slot and give their points in one script,
// all or none. The run's is in another. It is asked first, and what the account
// refuses goes back to it. So only the slots of a worker that died are wasted.
//
// Of limits that are far from being reached, slots have leeway: a body may leave up to
// 250 ms after them, and a call gives as many as the caller uses in that time. That costs
// a tenth of the calls, and hardly a slot is lost. It is so while less than half of every
// line is used. Up to a second after such a slot can be used, the points of all calls are
// a quarter further apart: then any second and a quarter of a line has no more of them
// than one second may have bodies.
//
// A call for messages of high priority that does not get all it asks for holds the line
// that has its next point last: until it has asked again, calls for others get nothing of
// that line, in no process. A body that waits for its slot is not held up.
//
// How fast an account opens connections is a line of its own.
//
// A slot that was reserved and not used is lost. Of a limit slower than one a second
// it can be given back, even when its time is over, as long as no other has been
// reserved behind it: then the line ends with it again.
//
// Time is Redis's (TIME, read in the scripts). When it steps back, a line keeps
// the distance that it had in front of it. When it steps forward by d, up to d
// (at most lead + 250 ms) of points that were handed out already are handed out
// again.
//
// # Quotas
//
// An account may have quotas: so many messages in any hour, in any day, on one day of
// a warm-up. They are counted in the script that hands out its points, so that a body
// has both or nothing. A rolling quota counts in buckets, a sixtieth of the window
// but at most five minutes and at least a second long. A bucket counts until it is
// wholly out of the window, six seconds later than it was filled at the latest, as a
// body leaves after its reservation. A total is kept, so a call costs the same however
// long the window is. Slots that are given back come off their bucket, unless that is
// older than the one before the newest.
//
//	      b1    b2    b3    b4    now
//	----|-----|-----|-----|-----|--|
//	 out  ^ counts until its end is a window and 6 s ago
//
// # A Redis that went back
//
// A Redis that fails over or is restored has lost its last writes. Each Pacer remembers the
// last point that it was given of each line, and what it was counted in the two newest
// buckets, and says so in every call: the scripts never go below it. Replay says it
// at once. So as long as the workers live and call Replay before anything is sent, only
// writes older than a bucket are lost. What a worker that died was given in the
// lost moment may be handed out again.
//
// # Lanes
//
// A Lane is how much a mailbox provider, or a domain, takes from an account, as its
// replies show: slowed, paused until a probe is accepted, or closed until an operator
// opens it. It is a value without a clock; Lanes keeps it for all processes, with
// compare-and-set. A rate that was halved climbs with the time, by 5 % of the ceiling
// a minute, and by 2 % above nine tenths of what was too much last. So no climbing is
// ever written. A Storm tells when a lane must be closed because a server refuses
// every address.
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
