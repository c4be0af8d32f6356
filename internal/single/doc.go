// Package single sends messages to one address at a time, outside of any run: receipts,
// passwords, invitations. They are what `broadside send` and POST /api/v1/send ask for.
//
// It promises that such a message is handed to a server at most once, whatever dies; that
// one which was taken (Accept has returned) is sent, refused or reported, and never
// forgotten; and that asking again under the same key gives the same message. A message is
// never behind bulk mail: it has a queue of its own, and nothing waits in a lane.
//
//	Accept or Send: template + data -> message, sealed, in Redis ("pending")
//	    |  take: one process at a time, for seconds (a lease)
//	suppression?  ->  courier: limits, connection, envelope
//	    |  354: claim, under a token ("sending")
//	body -> reply -> accepted | bounced | failed | deferred (taken again later)
//
// The claim is the same as in the ledger: it comes after the server has asked for the body
// and before the first byte of it. A message whose claim is five minutes old, and which has
// no outcome, is uncertain: it may have arrived, and is not sent again. What died before
// its claim is taken by another process when the lease is over.
//
// There is no asynq here. The sorted set of what is due is the queue, and it is changed in
// the scripts that change the message, so that the two cannot disagree and nothing has to
// look for tasks that were lost.
//
// The content is rendered when the message is asked for: what is wrong with the data is
// said at once, and an edit of the template changes no message that waits. It is sealed
// with the secrets of the installation, since it may hold a password, and taken away with
// the outcome.
//
// The keys, all in one slot:
//
//	PREFIX:{send}:due            sorted set: id -> when it is taken next
//	PREFIX:{send}:message:<id>   hash: state and outcome; until there is one, the content
//	PREFIX:{send}:of:<hash>      list of the ids for an address, the newest first
//
// If Redis loses its last writes, a message of that moment may be sent twice, or be
// forgotten although it was taken: there is no journal as there is for runs.
package single
