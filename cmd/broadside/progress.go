package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"broadside/campaign"
	"broadside/configs/units"
	"broadside/internal/report"
	"broadside/internal/runs"
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
	pace  pace
	waits waitNotes
}

// progress returns the progress of one run. --quiet shows none.
func (c *cli) progress() *progress { return &progress{c: c} }

// see shows a status, unless the one before is fresh.
func (p *progress) see(s runs.Status) {
	now := time.Now()
	if p.last.IsZero() {
		p.last = now.Add(-lineEvery + time.Second)
	}
	if p.c.quiet {
		return
	}

	p.pace.see(now, s.Total()-s.Counts.Open())
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

	p.last = now
	p.state = s.State
	line := p.line(s)
	if !p.c.term.tty {
		fmt.Fprintln(p.c.stderr, line)
		return
	}

	width := barWidth
	if cells := p.c.term.width(); cells > 0 {
		width = min(width, cells-utf8.RuneCountInString(line)-len("[] ")-1)
	}

	p.c.term.draw(bar(s, width) + p.c.errInk().word(line))
}

// end takes the redrawn line away.
func (p *progress) end() { p.c.term.draw("") }

func (p *progress) line(s runs.Status) string {
	total := s.Total()
	done := total - s.Counts.Open()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d of %d", s.State, done, total)
	for _, state := range []campaign.State{campaign.Deferred, campaign.Bounced, campaign.Failed, campaign.Uncertain} {
		if n := s.Counts[state]; n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, state)
		}
	}

	for _, kind := range campaign.EventKinds {
		if n := s.After[kind]; n > 0 && kind != campaign.EventDelivered {
			fmt.Fprintf(&b, ", %d %s later", n, kind)
		}
	}

	b.WriteString(readersText(s.Tracking))
	if rate, ok := p.pace.perSecond(); ok && s.State == campaign.Running {
		fmt.Fprintf(&b, ", %s", paceText(rate))
	}
	if left := p.pace.timeLeft(s); left > 0 {
		fmt.Fprintf(&b, ", about %s left", units.FormatDuration(roughly(left)))
	}
	if canary := s.CanaryNow(); canary != nil {
		fmt.Fprintf(&b, " (%s)", canary)
	}
	if s.Reason != "" {
		fmt.Fprintf(&b, " (%s)", printable(s.Reason))
	}

	return b.String()
}

// readersText says how many people have opened their letters or followed a link; nothing
// where that is not counted, or there was none.
func readersText(t *report.Tracking) string {
	text := ""
	if t != nil && t.Opens != nil && t.Opens.People > 0 {
		text += fmt.Sprintf(", %d opened", t.Opens.People)
	}
	if t != nil && t.Clicks != nil && t.Clicks.People > 0 {
		text += fmt.Sprintf(", %d clicked", t.Clicks.People)
	}
	return text
}

// paceText returns a pace for people; a slow one keeps its first decimal.
func paceText(perS float64) string {
	if perS > 0 && perS < 10 {
		return fmt.Sprintf("%.1f/s", perS)
	}
	return fmt.Sprintf("%.0f/s", perS)
}

// The width of the bar in cells: as it is, and below which it says nothing.
const barWidth, leastBar = 24, 8

// bar draws how much of a run is done; nothing where there is no room.
func bar(s runs.Status, width int) string {
	total := s.Total()
	if total == 0 || width < leastBar {
		return ""
	}
	n := int((total - s.Counts.Open()) * int64(width) / total)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", width-n) + "] "
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
