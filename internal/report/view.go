package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
)

// A line is one number of a report with what it means.
type line struct {
	Word  string // what is counted: "accepted"
	Kind  string // its colour: the word of a state, or "after"
	Count int64
	Of    int64  // the number that it is a share of
	Note  string // what the word means, for readers who never saw it
}

// Share returns the share in words, for readers.
func (l line) Share() string { return share(l.Count, l.Of) }

// Width returns the share in percent, for a bar; "0" for no bar at all.
func (l line) Width() string {
	if l.Count <= 0 || l.Of <= 0 {
		return "0"
	}
	return strconv.FormatFloat(min(100, 100*float64(l.Count)/float64(l.Of)), 'f', 2, 64)
}

var notes = map[campaign.State]string{
	campaign.Accepted:   "taken by the receiving server",
	campaign.Deferred:   "refused for now, tried again later",
	campaign.Bounced:    "the address does not work, never mailed again",
	campaign.Failed:     "refused for good for another reason, or out of time",
	campaign.Suppressed: "on a suppression list, not mailed",
	campaign.Uncertain:  "sent, but the server never answered; not sent again",
	campaign.Cancelled:  "not mailed, the run was cancelled",
	campaign.Pending:    "not sent yet",
	campaign.Sending:    "being sent right now",
}

// always are the states that reports show even when no recipient is in them.
var always = []campaign.State{campaign.Accepted, campaign.Bounced, campaign.Failed, campaign.Suppressed, campaign.Uncertain}

// stateLines returns the states of c as lines: the outcomes, and others that
// somebody is in.
func stateLines(c campaign.Counts, total int64) []line {
	var lines []line
	for _, s := range states {
		if n := c.Report(s); n != 0 || slices.Contains(always, s) {
			lines = append(lines, line{s.String(), s.String(), n, total, notes[s]})
		}
	}
	return lines
}

// allAfterLines returns what came after acceptance, as shares of accepted.
func (r Run) allAfterLines() []line {
	accepted := r.Counts[campaign.Accepted]
	return []line{
		{"delivered", "after", r.After.Delivered, accepted, "confirmed by the provider"},
		{"bounced", "after", r.After.Bounced, accepted, "sent back later"},
		{"blocked", "after", r.After.Blocked, accepted, "refused later by a filter"},
		{"complained", "after", r.After.Complained, accepted, "marked as spam"},
		{"unsubscribed", "after", r.After.Unsubscribed, accepted, "asked for no more"},
	}
}

// afterLines leaves out what was not reported: zero "delivered" would be taken
// for a result.
func (r Run) afterLines() []line { return nonZero(r.allAfterLines()) }

// rowLines returns what the rows of the audience became.
func (r Run) rowLines() []line {
	rows, s := r.Rows(), r.Skipped
	return append([]line{{"recipients", "", r.Total, rows, ""}}, nonZero([]line{
		{"invalid", "", s.Invalid, rows, ""},
		{"duplicate", "", s.Duplicate, rows, ""},
		{"excluded", "", s.Excluded, rows, ""},
		{"not matched by audience.where", "", s.Filtered, rows, ""},
		{"not in the sample", "", s.Sampled, rows, ""},
		{"left out by the limit", "", s.Limited, rows, ""},
		{"whose time had passed", "", s.Passed, rows, ""},
	})...)
}

func nonZero(lines []line) []line {
	return slices.DeleteFunc(lines, func(l line) bool { return l.Count == 0 })
}

// sum returns the lines as an addition: "12 accepted + 3 bounced". Of the
// zeros only that of the first line is shown.
func sum(lines []line, number func(int64) string) string {
	terms := make([]string, 0, len(lines))
	for i, l := range lines {
		if i == 0 || l.Count != 0 {
			terms = append(terms, number(l.Count)+" "+l.Word)
		}
	}
	return strings.Join(terms, " + ")
}

// warnings returns what does not add up, and where too many complain.
func (r Run) warnings() []string { return append(r.doubts(), r.complaints()...) }

// doubts returns what does not add up. Before a run is ready, and when it
// never became ready, its numbers are not final.
func (r Run) doubts() []string {
	if r.State == campaign.Expanding || r.State == campaign.RunFailed {
		return nil
	}
	var doubts []string
	if n := r.Counts.Total(); n != r.Total {
		doubts = append(doubts, fmt.Sprintf("The states add up to %d recipients, not to %d.", n, r.Total))
	}
	var parts int64
	for _, p := range r.Parts {
		parts += p.Total
		if n := p.Counts.Total(); n != p.Total {
			doubts = append(doubts, fmt.Sprintf("The states of %s add up to %d recipients, not to %d.", p.Provider, n, p.Total))
		}
	}
	if len(r.Parts) > 0 && parts != r.Total {
		doubts = append(doubts, fmt.Sprintf("The providers add up to %d recipients, not to %d.", parts, r.Total))
	}
	return doubts
}

// A fact is one word about a run and its value.
type fact struct{ Name, Value string }

// facts returns what is known of a run apart from its numbers. from is how the
// sender is shown.
func (r Run) facts(from string) []fact {
	facts := []fact{
		{"campaign", r.Campaign},
		{"follows", r.Parent},
		{"followed by", strings.Join(r.Linked, ", ")},
		{"subject", r.Subject},
		{"from", from},
		{"topic", r.Topic},
		{"audience", r.Audience},
		{"accounts", strings.Join(r.Accounts, ", ")},
		{"created", clock(r.CreatedAt)},
		{"first accepted", clock(r.FirstAcceptedAt)},
		{"finished", clock(r.FinishedAt)},
		{"took", r.took()},
		{"rate", rate(r.Rate())},
		{"as of", clock(r.ReadAt)},
	}
	for i := range facts {
		facts[i].Value = oneLine(facts[i].Value)
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Value == "" })
}

// took returns how long the whole run took; empty before it has ended.
func (r Run) took() string {
	if r.FinishedAt.IsZero() || r.CreatedAt.IsZero() {
		return ""
	}
	return span(r.FinishedAt.Sub(r.CreatedAt))
}

// share returns n as a part of of in percent. Only nothing is 0 %, and only
// everything is 100 %.
func share(n, of int64) string {
	switch {
	case of <= 0:
		return ""
	case n == 0:
		return "0%"
	case n == of:
		return "100%"
	}
	p := 100 * float64(n) / float64(of)
	switch {
	case p < 0.05:
		return "<0.1%"
	case p >= 99.95 && p < 100:
		return ">99.9%"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

// plain returns n in digits, for terminals and programs.
func plain(n int64) string { return strconv.FormatInt(n, 10) }

// grouped returns n with a comma between thousands, for pages.
func grouped(n int64) string {
	s := plain(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate returns messages per second in the unit that suits; empty when zero.
func rate(perS float64) string {
	switch {
	case perS == 0:
		return ""
	case perS >= 1:
		return strconv.FormatFloat(perS, 'f', 1, 64) + "/s"
	case perS*60 >= 1:
		return strconv.FormatFloat(perS*60, 'f', 1, 64) + "/min"
	}
	return strconv.FormatFloat(perS*3600, 'f', 1, 64) + "/h"
}

// clock returns t for readers; empty when it is zero.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// span returns a duration without needless digits: 1h5m, 12m3s, 2.4s.
func span(d time.Duration) string {
	unit := time.Second
	if d < 10*time.Second {
		unit = 100 * time.Millisecond
	}
	s := d.Round(unit).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// result returns the replies' code and enhanced code: "550 5.1.1".
func (c ReplyCount) result() string {
	if c.Code == 0 {
		return strings.TrimSpace("none " + c.Enhanced)
	}
	return strings.TrimSpace(strconv.Itoa(c.Code) + " " + oneLine(c.Enhanced))
}
