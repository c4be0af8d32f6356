// Package failpoint names the moments of a message at which a process may die
// or be frozen, for the tests that show that no one is lost and no one is
// mailed twice.
//
// A program that people run has none of it: only a build with the tag "faults"
// looks at the environment. There FAILPOINT=NAME:N kills the process with
// SIGKILL when it comes to the point NAME for the Nth time, and
// FAILPOINT=NAME:N:stop freezes it with SIGSTOP.
//
//	before-claim   the server said 354, nothing has been asked of the ledger
//	after-claim    the claim holds, no byte of the body has left
//	after-mail     MAIL has left, the reply to DATA has not come
//	in-body        one half of the body has left
//	after-dot      the whole body has left, its reply has not been read
//	after-reply    the reply has been read, nothing is done with it yet
//	before-settle  the outcome is in the journal, and not in the ledger
//
// LANE_TEMPO=0.02 makes the times by which lanes slow down, pause and climb so much
// shorter: a test sees in seconds what takes an hour.
package failpoint

// The points.
const (
	BeforeClaim  = "before-claim"
	AfterClaim   = "after-claim"
	AfterMail    = "after-mail"
	InBody       = "in-body"
	AfterDot     = "after-dot"
	AfterReply   = "after-reply"
	BeforeSettle = "before-settle"
)
