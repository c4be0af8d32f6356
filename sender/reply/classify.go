package reply

import (
	"time"

	"broadside/campaign/codes"
)

// A Verdict is what a reply means for the recipient, the lane or the account.
type Verdict string

// The verdicts. Those marked with a star count as an attempt.
const (
	Accepted       Verdict = "accepted"         // * the server took the message
	RetryRecipient Verdict = "retry_recipient"  // * this recipient again later
	RetryLane      Verdict = "retry_lane"       // nothing about the recipient: the lane slows down
	PauseLane      Verdict = "pause_lane"       // the lane closes for a while
	PauseAccount   Verdict = "pause_account"    // the account closes: login, quota, TLS
	SuppressHard   Verdict = "suppress_hard"    // * the address is bad: suppress it
	FailNoSuppress Verdict = "fail_no_suppress" // * permanent, but not the address's fault
	MailboxFull    Verdict = "mailbox_full"     // * as RetryRecipient, counted for itself
	Greylisted     Verdict = "greylisted"       // try again soon from the same address; the first time is free
	Uncertain      Verdict = "uncertain"        // * perhaps delivered: never again by itself
)

// Verdicts lists the verdicts.
var Verdicts = []Verdict{Accepted, RetryRecipient, RetryLane, PauseLane, PauseAccount, SuppressHard, FailNoSuppress, MailboxFull, Greylisted, Uncertain}

// A Decision is the meaning of one reply.
type Decision struct {
	Rule    string // id of the rule that decided
	Verdict Verdict
	Scope   string // what the verdict is about: recipient, message, campaign, lane, ip, account, sender; may be empty
	Action  string // what would help: reconnect, lower_conns, lower_msgs_per_conn, halve_rate, refresh_auth, alert, ...; may be empty

	// Backoff is the first pause, of the recipient or of the lane or account,
	// as the verdict says; 0 when the rule has none. Each further one is
	// Factor times as long (0: the same), up to MaxBackoff (0: no limit).
	Backoff    time.Duration
	Factor     float64
	MaxBackoff time.Duration

	// Confirm is the number of such replies, at least a day apart, after which
	// the address is suppressed; until then Verdict applies. 0 when Verdict is
	// all that the rule says.
	Confirm int

	// Code is what an operator looks up when the reply closes an account; empty
	// when the rule has none.
	Code codes.Code

	// Escalate is what applies when the rule matches often; an Escalator counts.
	Escalate Escalate

	AtOnce bool   // the rule asks for no pause, only for a new connection
	Manual bool   // no pause will help: somebody has to look at the account
	Note   string // why the rule is as it is, for people; may be empty
}

// Classify returns what the reply means by the built-in rules. Every reply gets a
// decision: the last rule matches all.
func Classify(r Reply) Decision { return builtin().find(r).decide(r) }

// Prepare compiles the built-in rules, which takes some 80 ms. Without it the first reply
// that is classified waits for that.
func Prepare() { builtin() }

// ofOneRecipient reports whether the reply concerns exactly one recipient.
func (r Reply) ofOneRecipient() bool { return r.Stage == Rcpt || r.Stage == Dot }
