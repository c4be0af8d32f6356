// Package doctor looks at everything that a campaign needs besides itself: settings,
// Redis, the clock, the queue, readers' links, accounts and processes. Of each thing
// it says what was found, what comes of it and what to do. It writes and sends
// nothing.
//
// There are two kinds of findings about Redis. Whether it is fit to be sent
// from at all (version, role, eviction, persistence) is judged by
// [broadside/internal/store.Open], and a process does not start on one that is
// not. How it is doing at the moment (memory, latency, clocks, connections, the queue)
// is judged here, and keeps no process from starting: a worker must be able to
// end its runs on a Redis that is full, and a queue may be paused on purpose.
//
// Redis is asked with INFO, which managed ones allow. What only CONFIG tells is
// asked for, and left open where it is forbidden.
package doctor

import (
	"fmt"
	"log/slog"

	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/internal/mailbox"
	"broadside/internal/outgoing"
	"broadside/internal/presence"
	"broadside/internal/runs"
	"broadside/internal/store"
	"broadside/scheduler"
	"broadside/throttle"
)

// A Doctor looks at an installation.
type Doctor struct {
	Config    *configs.Config
	Store     *store.Store
	Ledger    *ledger.Ledger
	Runs      *runs.Runs
	Lists     *audience.Lists
	Accounts  *throttle.Accounts
	Lanes     *throttle.Lanes
	Schedules *scheduler.Schedules
	Processes *presence.Register
	Mailboxes *mailbox.Register
	Webhooks  *outgoing.Webhooks
	Log       *slog.Logger
}

// A Finding is the outcome of one check of one thing.
type Finding struct {
	Subject string // redis, clock, queue, links, settings, "account NAME", "mailbox URL", "webhook URL"
	store.Finding
}

func good(subject string, code codes.Code, text string) Finding {
	return Finding{subject, store.Finding{Code: code, Level: store.Good, Text: text}}
}

func bad(subject string, code codes.Code, level store.Level, text, why, fix string) Finding {
	return Finding{subject, store.Finding{Code: code, Level: level, Text: text, Why: why, Fix: fix}}
}

// unknown is the outcome of a check that could not be made.
func unknown(subject string, code codes.Code, err error) Finding {
	return bad(subject, code, store.Warning, "not known: "+err.Error(), "it was not checked", "try again; if it stays so, look at the log of Redis and at the rights of its user")
}

// of returns findings as those of one subject.
func of(subject string, findings []store.Finding) []Finding {
	out := make([]Finding, len(findings))
	for i, f := range findings {
		out[i] = Finding{subject, f}
	}
	return out
}

// Unanswered is the outcome of a check that Redis did not answer.
func Unanswered(err error) []Finding { return of(subjectRedis, []store.Finding{store.FindingOf(err)}) }

// AtStart returns the findings as they count when a process starts: none of
// them keeps it from that.
func AtStart(findings []Finding) []Finding {
	out := make([]Finding, len(findings))
	for i, f := range findings {
		f.Level = min(f.Level, store.Warning)
		out[i] = f
	}
	return out
}

// Verdict returns nil when nothing failed. Else the error says how much did, and is
// of the kind failure.ErrUnreachable when Redis or an account is among it, else
// failure.ErrInvalid when settings are, else failure.ErrRefused.
func Verdict(findings []Finding) error {
	kind := failure.ErrRefused
	failed := 0
	for _, f := range findings {
		if f.Level != store.Failed {
			continue
		}
		failed++
		switch f.Code {
		case codes.RedisUnreachable, codes.Account:
			kind = failure.ErrUnreachable
		case codes.Secrets, codes.Accounts, codes.PublicURL:
			if kind != failure.ErrUnreachable {
				kind = failure.ErrInvalid
			}
		}
	}

	if failed == 0 {
		return nil
	}

	return failure.New(kind, fmt.Sprintf("%d of %d checks failed", failed, len(findings)), nil)
}
