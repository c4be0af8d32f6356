// Package doctor looks at what a campaign needs beside itself, and says of each
// thing what was found, what comes of it and what to do.
//
// There are two kinds of findings about Redis. Whether it is fit to be sent
// from at all (version, role, eviction, persistence) is judged by
// [broadside/internal/store.Open], and a process does not start on one that is
// not. How it fares just now (memory, latency, clocks, connections, the queue)
// is judged here, and keeps no process from starting: a worker must be able to
// end its runs on a Redis that is full, and a queue may be paused on purpose.
//
// Redis is asked with INFO, which managed ones allow. What only CONFIG tells is
// asked for, and left open where it is forbidden.
package doctor

import (
	"broadside/campaign/codes"
	"broadside/internal/store"
)

// A Finding is the outcome of one check of one thing.
type Finding struct {
	Subject string // redis, clock, queue, links, settings, "account NAME"
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

// Of returns findings as those of one subject.
func Of(subject string, findings []store.Finding) []Finding {
	out := make([]Finding, len(findings))
	for i, f := range findings {
		out[i] = Finding{subject, f}
	}
	return out
}

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
