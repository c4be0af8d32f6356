// Package codes names the reasons that operators see: why a run is paused, why
// an account is closed, what a check found. A reason begins with its code, so
// that it can be searched for, alerted on and looked up with `broadside explain
// CODE`; a code never changes its meaning.
//
// docs/codes.md is made from the tables of this package: go test ./campaign/codes
// -update.
package codes

import (
	"fmt"
	"slices"
	"strings"
)

// A Code is the name of a reason, such as BS-OPERATOR.
type Code string

// The codes of runs and recipients.
const (
	Operator       Code = "BS-OPERATOR"
	GuardBounce    Code = "BS-GUARD-BOUNCE"
	GuardDeferral  Code = "BS-GUARD-DEFERRAL"
	GuardComplaint Code = "BS-GUARD-COMPLAINT"
	Canary         Code = "BS-CANARY"
	SameFailure    Code = "BS-SAME-FAILURE"
	Content        Code = "BS-CONTENT"
	HeldRedis      Code = "BS-HELD-REDIS"
	Abandoned      Code = "BS-ABANDONED"
	NotLaunched    Code = "BS-NOT-LAUNCHED"
	Expired        Code = "BS-EXPIRED"
	Attempts       Code = "BS-ATTEMPTS"
	Stuck          Code = "BS-STUCK"
)

// The codes of closed accounts.
const (
	AccountLogin Code = "BS-ACCOUNT-LOGIN"
	AccountTLS   Code = "BS-ACCOUNT-TLS"
	AccountSetup Code = "BS-ACCOUNT-SETUP"
	AccountRelay Code = "BS-ACCOUNT-RELAY"
	AccountAway  Code = "BS-ACCOUNT-AWAY"
	AccountShut  Code = "BS-ACCOUNT-SHUT"
	AccountBusy  Code = "BS-ACCOUNT-BUSY"

	AccountQuota     Code = "BS-ACCOUNT-QUOTA"
	AccountSuspended Code = "BS-ACCOUNT-SUSPENDED"
	AccountSender    Code = "BS-ACCOUNT-SENDER"

	AccountPipelining Code = "BS-ACCOUNT-PIPELINING" // it stays open
)

// Reason returns a reason that begins with the code: "BS-OPERATOR: by the
// operator".
func (c Code) Reason(format string, args ...any) string {
	return string(c) + ": " + fmt.Sprintf(format, args...)
}

// Of returns the code that a reason begins with; empty when it has none.
func Of(reason string) Code {
	code, _, ok := strings.Cut(reason, ":")
	if _, known := Explain(code); !ok || !known {
		return ""
	}
	return Code(code)
}

// ByGuard reports whether a run was paused by something that watches it, and
// not by a person.
func (c Code) ByGuard() bool {
	switch c {
	case GuardBounce, GuardDeferral, GuardComplaint, Canary, SameFailure:
		return true
	}
	return false
}

// Remedy returns what an operator can do about a closed account, in a few words; empty
// where the reason says it.
func (c Code) Remedy() string {
	switch c {
	case AccountQuota:
		return "it is tried again by itself; a larger plan or a second account ends the wait, limits.per_day keeps below the limit"
	case AccountSuspended:
		return "ask the provider what it takes to be allowed again"
	case AccountSender:
		return "verify the sender's address or domain with the provider, or correct from"
	case AccountRelay:
		return "let the server relay for this account, or use the host and port that are meant for it"
	}
	return ""
}

// An Explanation says what a code means and what to do first.
type Explanation struct {
	Code  Code     `json:"code"`
	Title string   `json:"title"`
	Means string   `json:"means"`
	Steps []string `json:"first_steps"`
}

// All returns every code with its explanation, in the order in which a
// reference shows them.
func All() []Explanation { return slices.Concat(runCodes, stateCodes, accountCodes, checkCodes) }

// Explain returns the explanation of a code; false when there is no such code.
func Explain(code string) (Explanation, bool) {
	for _, e := range All() {
		if string(e.Code) == code {
			return e, true
		}
	}
	return Explanation{}, false
}

const resumeStep = "`broadside run resume RUN` goes on; the guards then count from that moment. `broadside run cancel RUN` ends it."

var runCodes = []Explanation{
	{
		Operator, "A person did this",
		"Somebody paused or cancelled the run with the command line.",
		[]string{"`broadside run resume RUN` goes on with a paused run; a cancelled one stays cancelled."},
	},
	{
		GuardBounce, "Too many addresses do not exist",
		"More of the recipients tried so far bounced than guard.max_bounce_rate allows. Providers take that for a bought or an old list, and begin to refuse the rest. " +
			"The addresses that bounced are suppressed; no other recipient was charged an attempt.",
		[]string{
			"`broadside run recipients RUN --state bounced` shows who bounced, and the replies. If all of them have one provider or one reply, it may be the provider's trouble, not the list's.",
			"Ask where the list comes from, and when it was mailed last; send to the part of it that is fresh.",
			resumeStep,
		},
	},
	{
		GuardDeferral, "Too many are refused for now",
		"More of the recipients tried so far wait for another try than guard.max_deferral_rate allows: providers slow you down, or a server is in trouble.",
		[]string{
			"`broadside run show RUN` has the replies and the providers.",
			"Send slower (delivery.rate, limits.rate of the account), or wait: deferred recipients are tried again after the resume, at their own retry times.",
			resumeStep,
		},
	},
	{
		GuardComplaint, "Too many mark it as spam",
		"More of those who got the message complained than guard.max_complaint_rate allows (default 0.3%), and three at least, of all or of those at one provider. Large providers act from 0.3 % on, against all that you send; healthy is less than 0.1 %.",
		[]string{
			"Look at what the readers signed up for, and at the unsubscribe link: is it where they look for it?",
			"`broadside run cancel RUN` is the safe answer. " + resumeStep,
		},
	},
	{
		Canary, "The first recipients went wrong",
		"A run with guard.canary sends to a few first and waits. Of those, more bounced, were deferred or complained than the limits allow (where the file has none: 5 %, 30 %, 0.3 %). " +
			"No other recipient was mailed.",
		[]string{
			"`broadside run show RUN` has the replies and the providers; `broadside run recipients RUN --state bounced` has the people.",
			"`broadside run resume RUN` sends to all others in spite of it; `broadside run cancel RUN` ends it.",
		},
	},
	{
		SameFailure, "One recipient after the other fails in the same way",
		"50 recipients in a row failed for good, or are uncertain, with the same answer, and none was accepted in between. Each would be lost for a cause that has nothing to do with them: " +
			"a message that cannot be made, content or a sender that is refused, a server that takes messages without an answer. Addresses that do not exist are not counted here.",
		[]string{
			"The reason has the answer; `broadside reply explain \"CODE TEXT\"` says what it means.",
			"Correct the cause. A run keeps the content that it was made with: if that is the cause, cancel it and launch the corrected campaign with `--again --exclude run:CAMPAIGN`.",
			"`broadside run resume RUN` goes on with the remaining recipients; `broadside run retry RUN --state failed` makes a run of those that failed.",
		},
	},
	{
		Content, "A worker cannot read the content of the run",
		"The content compiled when the run was made, and does not in this worker: it is another version of the program, or has other secrets.",
		[]string{
			"Run the same version with the same configuration everywhere; `broadside config show` prints it.",
			"`broadside run resume RUN` goes on.",
		},
	},
	{
		HeldRedis, "Redis has gone back in time",
		"Redis lost more than the workers remember: it was restarted with an old file, or a replica took over that missed the last writes. Recipients that were mailed may look as if they were not, so the run is held.",
		[]string{
			"Compare what the server took (its own log) with `broadside run recipients RUN --state accepted`.",
			"`broadside run resume RUN` goes on: recipients that were mailed in the lost time are mailed again. `broadside run cancel RUN` ends it: pending recipients are not mailed.",
			"Let Redis write to disk (appendonly yes), and set delivery.durability: replicated where it has replicas.",
		},
	},
	{
		Abandoned, "The audience was never complete",
		"The process that read the audience ended before all of it was in. Nothing was sent.",
		[]string{"Launch the campaign again: the run does not count as launched."},
	},
	{
		NotLaunched, "A scheduled run could not be made",
		"At its time the campaign, its audience or its account was not in order. Nothing was sent.",
		[]string{
			"The reason says what is wrong, as `broadside campaign validate C` does.",
			"Correct it and send with `broadside campaign launch C --now`, or wait for the next time of its schedule.",
		},
	},
	{
		Expired, "The time of the run was over",
		"The recipient was not accepted within delivery.expires_after (48 h by default) of the making of the run. News that would come too late is not sent.",
		[]string{
			"The last reply next to it says why it took so long. A paused run does not expire, but its time runs on.",
			"`broadside run retry RUN --state failed` tries them again; a longer expires_after gives the next run more patience.",
		},
	},
	{
		Attempts, "No attempt was left",
		"The recipient was refused for now as often as delivery.max_attempts allows (12 by default).",
		[]string{"The last reply next to it says why. `broadside run retry RUN --state failed` tries them again."},
	},
	{
		Stuck, "No worker ever reported on it",
		"The recipient was handed to the queue seven times, with longer and longer waits, and no worker took it, gave it back or sent to it. It was not mailed.",
		[]string{
			"Workers that take tasks and then hang, or another program that empties the queue in the same Redis: look at the workers' logs.",
			"`broadside run retry RUN --state failed` tries them again.",
		},
	},
}

const checkStep = "`broadside account check NAME` connects and logs in, and names each problem with its fix."

// All of these close the account for a while, and no recipient is charged an attempt.
var accountCodes = []Explanation{
	{
		AccountLogin, "The server refuses the login",
		"User name or password are wrong or have expired, or the server wants a login and the account has none. It is tried again with growing pauses: repeated bad logins lock accounts.",
		[]string{checkStep, "Correct username and password of the account and restart the workers."},
	},
	{
		AccountTLS, "No secure connection",
		"The server offers no TLS, or its certificate is not valid for this name. Nothing is sent in the clear.",
		[]string{checkStep, "A server with a certificate of its own: name it with ca_file."},
	},
	{
		AccountSetup, "The account cannot be used as it is configured",
		"Before anything was sent to the server, the settings of the account were found not to work.",
		[]string{"The reason names the setting.", checkStep},
	},
	{
		AccountRelay, "The server does not relay for this account",
		"It takes the login but not the mail: this user, or this computer, may not send to others.",
		[]string{"Ask the operator of the server to let this account relay, or use the host and port that are meant for it.", checkStep},
	},
	{
		AccountAway, "The server cannot be reached",
		"No connection could be made, or it broke before the server said anything. It is looked for again every few seconds.",
		[]string{checkStep, "Is the host right, the port open from here, the server up?"},
	},
	{
		AccountShut, "The server turns the connection away",
		"It answered with a permanent refusal before any mail was offered: this computer is blocked there, or it is not a mail server for it.",
		[]string{"The reason has the answer; it often names a page.", checkStep},
	},
	{
		AccountBusy, "The server wants to be left alone for a while",
		"It answered, and asked to come back later: too many connections, too much mail, or work on it. It is tried again with growing pauses.",
		[]string{"Lower limits.connections or limits.rate of the account when this happens often."},
	},
	{
		AccountQuota, "The account has used up what it may send",
		"The provider counts the messages of this account by the hour, day or month, and the limit is reached. Its reply is about the account and not about a recipient, so no recipient is charged an attempt, and the rest is sent when the provider starts a new count.",
		[]string{
			"The reason has the provider's answer. Nothing has to be done for a limit that frees itself; the account is tried again with growing pauses.",
			"Ask the provider for a higher limit or take a larger plan, or add a second account. `limits.rate` of the account spreads what it may send over the day.",
		},
	},
	{
		AccountSuspended, "The provider has stopped the account",
		"The account is suspended, disabled, under review, unpaid, still in a trial or sandbox, or not activated. The reply is about the account and not about a recipient, so no recipient is charged an attempt.",
		[]string{
			"The reason has the provider's answer; its dashboard or its support says why and what it takes to be allowed again.",
			"Was it stopped for complaints or bounces: clean the list before you send more, here or elsewhere.",
			checkStep,
		},
	},
	{
		AccountSender, "The account may not send as this sender",
		"The provider takes the login but not the From address or its domain: it is not verified there, or belongs to another account. No recipient is at fault, and none is charged an attempt.",
		[]string{
			"Verify the address or its domain in the provider's dashboard, in the region that the account sends from. In a sandbox the recipients have to be verified too.",
			"Or correct `from` (and the return path) so that it is one that this account may send as; a run keeps the sender that it was made with: cancel it and launch the corrected campaign with `--again --exclude run:CAMPAIGN`.",
		},
	},
	{
		AccountPipelining, "The server offers PIPELINING and does not follow it",
		"It lost its step when several commands came at once, or the connection broke at the first try of that. The process that saw it sends with less pipelining for 24 hours, and then tries again; nothing else changes.",
		[]string{
			"The reason has what the server said.",
			"`pipelining: envelope`, or `off`, of the account keeps it from being tried again: at a distance that is one round trip more for each message, or four.",
		},
	},
}
