package main

import (
	"fmt"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/internal/app"
)

const (
	// drawEvery and lineEvery are how often progress shows, redrawn on a
	// terminal and as lines elsewhere.
	drawEvery = 200 * time.Millisecond
	lineEvery = 3 * time.Second
)

// A progress shows how far a run is, on stderr.
type progress struct {
	c     *cli
	last  time.Time
	state campaign.RunState
	since time.Time // of the first look, for the pace
	first int64     // accepted then
	waits waitNotes
}

// progress returns the progress of one run. --quiet shows none.
func (c *cli) progress() *progress { return &progress{c: c} }

// see shows a status, unless the one before is fresh.
func (p *progress) see(s app.Status) {
	now := time.Now()
	if p.since.IsZero() {
		p.since, p.first, p.last = now, s.Counts[campaign.Accepted], now.Add(-lineEvery+time.Second)
	}
	if p.c.quiet {
		return
	}
	for _, line := range p.waits.changes(s.Waiting, now) {
		fmt.Fprintln(p.c.stderr, printable(line))
	}
	every := lineEvery
	if p.c.term.tty {
		every = drawEvery
	}
	if now.Sub(p.last) < every && (p.state == s.State || p.state == "") {
		p.state = s.State
		return
	}
	p.last, p.state = now, s.State
	line := p.line(s, now)
	if p.c.term.tty {
		p.c.term.draw(p.bar(s) + line)
	} else {
		fmt.Fprintln(p.c.stderr, line)
	}
}

// end takes the redrawn line away.
func (p *progress) end() { p.c.term.draw("") }

func (p *progress) line(s app.Status, now time.Time) string {
	total := s.Total()
	done := total - s.Counts.Open()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d of %d", s.State, done, total)
	for _, state := range []campaign.State{campaign.Deferred, campaign.Bounced, campaign.Failed, campaign.Uncertain} {
		if n := s.Counts[state]; n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, state)
		}
	}
	if d := now.Sub(p.since).Seconds(); d >= 1 && s.State == campaign.Running {
		fmt.Fprintf(&b, ", %.0f/s", float64(s.Counts[campaign.Accepted]-p.first)/d)
	}
	if canary := s.CanaryNow(); canary != nil {
		fmt.Fprintf(&b, " (%s)", canary)
	}
	if s.Reason != "" {
		fmt.Fprintf(&b, " (%s)", printable(s.Reason))
	}
	return b.String()
}

// barWidth is the width of the bar in cells.
const barWidth = 24

func (p *progress) bar(s app.Status) string {
	total := s.Total()
	if total == 0 {
		return ""
	}
	n := int((total - s.Counts.Open()) * barWidth / total)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", barWidth-n) + "] "
}

// rowsRead shows how much of an audience was read.
func (c *cli) rowsRead() func(int64) {
	if c.quiet {
		return nil
	}
	last := time.Now()
	return func(rows int64) {
		every := lineEvery
		if c.term.tty {
			every = drawEvery
		}
		if time.Since(last) < every {
			return
		}
		last = time.Now()
		text := fmt.Sprintf("%d rows read", rows)
		if c.term.tty {
			c.term.draw(text)
		} else {
			fmt.Fprintln(c.stderr, text)
		}
	}
}
