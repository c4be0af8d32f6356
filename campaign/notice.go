package campaign

import "time"

// A Class is what a notice says about a message.
type Class string

// The classes of notices.
const (
	ClassDelivered    Class = "delivered"    // the recipient's server took it
	ClassHard         Class = "hard"         // it was returned, and the address is dead
	ClassSoft         Class = "soft"         // it was returned, or is late, and the address may be in use
	ClassBlocked      Class = "blocked"      // it was returned for the sake of its sender, content or policy
	ClassDelayed      Class = "delayed"      // it is late, and is still being tried
	ClassComplaint    Class = "complaint"    // the reader called it spam
	ClassUnsubscribed Class = "unsubscribed" // the reader wants no more
	ClassAutoReply    Class = "auto-reply"   // a vacation note, a challenge, a read receipt
	ClassNotABounce   Class = "not-a-bounce" // a message that has nothing to do with us
	ClassOther        Class = "other"        // it belongs to none of these
)

// A Notice is what a bounce message, a feedback report or a webhook says about one
// recipient of one message, before anybody has looked up whose message that was.
// Its decoder fills in what is there and believes none of it.
type Notice struct {
	ID string // how its sender names it: a notice that comes again has the same; may be empty
	// OneUse is set where the ID is of a signature that does not cover what the notice
	// says: with an ID that was used before, any other notice changes nothing.
	OneUse bool
	Source string // the road it came by: "hook:ses", "mailbox", "listen", "ingest"

	// Signed is set where the sender of the notice is known: a webhook with a
	// good signature. Such a notice counts by its address alone.
	Signed bool

	Class     Class     // what it claims
	At        time.Time // when it happened; zero: it does not say
	Recipient string    // the address it names; empty: none
	Topic     string    // what an unsubscribe is from; empty: everything

	// Returned are what may be message tokens in the addresses that the notice was
	// sent to, without token.Prefix. A valid one proves whose message it was.
	Returned []string

	// Quoted are what may be message tokens in the headers that the notice quotes:
	// in a Message-ID, a return path or the metadata of a provider. Anybody who has
	// seen a message of ours can quote its headers, so they prove less.
	Quoted []string

	// Links are what may be sealed unsubscribe tokens in the headers or the body
	// that the notice quotes.
	Links []string

	Status string // enhanced status code, such as "5.1.1"; may be empty
	Reply  string // what the server said, as far as it is known; may be empty
}
