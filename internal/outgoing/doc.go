// Package outgoing tells others by webhook what happens: that a run has finished or was
// stopped, and who bounced, complained or unsubscribed.
//
// It promises that each event is delivered at least once to every receiver that asked
// for it, each time with the same webhook-id, or is counted as dead where an operator
// sees it; and that a receiver that is slow or dead slows neither sending nor the other
// receivers. A request is signed as Standard Webhooks describes.
//
//	what happened ──> Outbox ──> a queue for each receiver ──> Sender ──> 2xx: delivered
//	  feedback (what came back)      (internal/queue)            │
//	  Announcer (runs, bounces)                                  ├─> tried again for a day
//	                                                             └─> dead
//
// # Where events come from
//
// What a run goes through stands in the ledger, and the Announcer reads it there: that it
// was stopped, in its record, written in one script with the stop itself; that it is
// over, on a list that the feeder puts it on before it lets go of it; who bounced while
// we sent, in the cells. That a schedule missed a time stands on a list of the scheduler,
// written in one script with the record of it. So sending is not concerned at all, a process that dies loses no
// event, and the ledger is the queue where the one of a receiver is full.
//
// What comes back later (bounces, complaints, unsubscribes) is put into the Outbox by
// internal/feedback, before it is counted: after a crash between the two it comes again.
// An unsubscribe by the link of a message does not: it is lost as an event, though not as
// a suppression, when Redis fails or the process dies between the two.
//
// # What is bounded
//
// A receiver has at most maxWaiting events in its queue. Bounces of a run wait in the
// ledger for room. What comes back by other roads does not wait there: what finds no room
// is dropped and counted. Of the dead the newest 9,999 are kept, for 90 days.
package outgoing
