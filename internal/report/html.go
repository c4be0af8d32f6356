package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"broadside/campaign"
)

//go:embed report.html
var pageSource string

var pageTemplate = template.Must(template.New("report.html").Funcs(template.FuncMap{"n": grouped}).Parse(pageSource))

// A page is what report.html shows.
type page struct {
	Title   string
	Compare *comparison // nil for a single run
	Runs    []section
}

// A section is one run on the page.
type section struct {
	Run      string
	State    campaign.RunState
	Reason   string
	Total    int64
	Accepted line
	Rows     string // the additions, in words
	Sum      string
	Warnings []string
	Facts    []fact
	States   []line
	After    []line
	Waves    [][]string // when recipients get it by their own clocks; the first row is the header
	Tracking []line
	Engaged  [][][]string // tables of opens and clicks; the first row of each is the header
	Parts    []partLine
	Replies  []replyLine
	Returns  [][]string // by day and provider; the first row is the header
	Said     []saidLine
}

// A partLine is the recipients at one provider. Rest says in words who was
// not accepted.
type partLine struct {
	Provider string
	Total    int64
	Accepted line
	States   []line
	Rest     string
}

type replyLine struct {
	Count  int64
	State  string
	Result string
	Text   string
}

type saidLine struct {
	Count int64
	Kind  string
	Text  string
}

// HTML writes the report as one page that needs nothing else and runs no
// script. Several runs are compared side by side before each is shown.
func HTML(w io.Writer, runs ...Run) error {
	if len(runs) == 0 {
		return errNoRuns
	}
	p := page{Title: runs[0].Run}
	if len(runs) > 1 {
		p.Title = fmt.Sprintf("%d runs compared", len(runs))
		c := compare(runs)
		p.Compare = &c
	}
	for _, r := range runs {
		p.Runs = append(p.Runs, newSection(r))
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return fmt.Errorf("render report: %w", err)
	}
	return write(w, b.Bytes())
}

func newSection(r Run) section {
	states := stateLines(r.Counts, r.Total)
	s := section{
		Run: r.Run, State: r.State, Reason: Redact(r.Reason),
		Total:    r.Total,
		Accepted: line{Word: "accepted", Count: r.Counts[campaign.Accepted], Of: r.Total},
		Rows:     fmt.Sprintf("%s rows read = %s", grouped(r.Rows()), sum(r.rowLines(), grouped)),
		Sum:      fmt.Sprintf("%s recipients = %s", grouped(r.Total), sum(states, grouped)),
		Warnings: r.warnings(),
		Facts:    r.facts(sender(r.From)),
		States:   states,
		After:    r.afterLines(),
		Waves:    r.waveRows(),
		Tracking: r.trackingLines(grouped),
		Engaged:  r.trackingTables(grouped),
		Returns:  r.returnRows(grouped),
	}
	for _, p := range r.Parts {
		s.Parts = append(s.Parts, newPartLine(p))
	}
	for _, c := range r.Replies {
		s.Replies = append(s.Replies, replyLine{c.Count, c.State.String(), c.result(), Redact(c.Text)})
	}
	for _, t := range r.ReturnTexts {
		s.Said = append(s.Said, saidLine{t.Count, string(t.Kind), t.shown()})
	}
	return s
}

func newPartLine(p Part) partLine {
	l := partLine{
		Provider: string(p.Provider), Total: p.Total,
		Accepted: line{Word: "accepted", Count: p.Counts[campaign.Accepted], Of: p.Total},
		States:   nonZero(stateLines(p.Counts, p.Total)),
	}
	var rest []string
	for _, s := range l.States {
		if s.Word != l.Accepted.Word {
			rest = append(rest, grouped(s.Count)+" "+s.Word)
		}
	}
	l.Rest = strings.Join(rest, ", ")
	return l
}
