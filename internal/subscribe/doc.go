// Package subscribe lets people put themselves on a list, by double opt-in: a message goes to
// the address that was entered, and only the link in it puts the address on the list.
//
// It promises that an address comes to a list by this road only when its owner has pressed the
// button behind the link that was sent to it; that a proof of that is kept; and that every
// request is answered alike, whether the address is on the list, suppressed or new. Asking twice, opening a link and confirming twice change nothing more.
//
//	page, API, command
//	    | Ask: limits and outbox in one script
//	outbox --Run, in one process at a time--> message with a sealed link, good for 7 days
//	                                              | the reader presses the button
//	                                          Confirm: proof and row in one transaction
//	waiting rows --Run, at most a twentieth of the time--> a new version of the list
//
// The link has everything that was asked for. Until it is confirmed Redis knows the token
// of a message that is not sent yet, and counters under hashes of address and network
// that end within a day.
//
// A process that is killed loses nothing that was answered: a message that was on the wire
// is sent again with the same link, and rows that wait are put on the list by the next
// process.
//
// Confirming takes back that the reader has left the topic, when that was before they
// asked. It takes back nothing else: to an address with a complaint or a bounce, one that
// an operator has suppressed, or whose reader has left everything, no message is sent.
//
// The keys, all in one slot:
//
//	PREFIX:{subscribe}:outbox          sorted set: token -> when it is sent next
//	PREFIX:{subscribe}:lease           the process that sends
//	PREFIX:{subscribe}:asked:<hash>    list of times at which a message went to an address
//	PREFIX:{subscribe}:from:<hash>     list of times of requests from a network
//	PREFIX:{subscribe}:places          set of lists and topics with proofs
//	PREFIX:{subscribe}:proofs:<list>:<topic>   hash: SHA-256 of the address -> proof, JSON
//	PREFIX:{subscribe}:waiting:<list>  hash: SHA-256 of the address -> row that is not on the list yet, JSON
//	PREFIX:{subscribe}:texts           hash: version -> what the reader was shown
package subscribe
