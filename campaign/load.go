package campaign

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign/where"
	"broadside/campaign/window"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
	"broadside/internal/input"
)

// Load reads a campaign file. What is wrong with it comes back all at once as
// [strictyaml.Problems], together with a definition of what could be read if it is
// YAML at all; a file that does not exist also is [io/fs.ErrNotExist]. The files that it
// names are not opened. The file may be a pipe, for which ctx ends the waiting.
func Load(ctx context.Context, file string) (*Definition, error) {
	data, err := input.ReadAll(ctx, file, strictyaml.MaxFile)
	if err != nil {
		return nil, strictyaml.FileProblem(file, err)
	}
	return Parse(file, filepath.Dir(file), data)
}

// Parse reads the text of a campaign file; file names it in messages, and the
// paths in it are relative to dir.
func Parse(file, dir string, data []byte) (*Definition, error) {
	return parse(file, dir, data, (*Definition).read)
}

// parse reads the text of a campaign file; read is called with its keys.
func parse(file, dir string, data []byte, read func(*Definition, *strictyaml.Map)) (*Definition, error) {
	doc, err := strictyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	d := &Definition{
		File: file, Dir: dir, Source: data,
		Priority: NormalPriority,
		Content:  Content{Layout: DefaultLayout},
		Schedule: Schedule{MaxLateness: DefaultMaxLateness, ZoneField: DefaultZoneField, WhenPassed: PassedNow},
		Delivery: Delivery{
			Retry:        slices.Clone(DefaultRetry),
			MaxAttempts:  DefaultMaxAttempts,
			ExpiresAfter: DefaultExpiresAfter,
			OnUncertain:  Hold,
			Durability:   Fast,
		},
		Guard: Guard{MaxComplaintRate: DefaultMaxComplaintRate, CanaryWait: DefaultCanaryWait},
		Lines: map[string]Pos{},
	}
	for key, at := range doc.Places() {
		d.Lines[key] = Pos{at.Line, at.Column}
	}
	doc.Read(func(m *strictyaml.Map) { read(d, m) })
	return d, doc.Err()
}

// Problem returns a problem with the value of a dotted key
// ("delivery.accounts[0]"), at its place in the file; where the key is not
// given, at that of the nearest key above it.
func (d *Definition) Problem(key, format string, args ...any) strictyaml.Problem {
	line, column := d.place(key)
	return strictyaml.Problem{File: d.File, Line: line, Column: column, Key: key, Message: fmt.Sprintf(format, args...)}
}

func (d *Definition) place(key string) (line, column int) {
	for at := key; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		if p, ok := d.Lines[at]; ok {
			return p.Line, p.Column
		}
	}
	return 1, 1
}

func (d *Definition) read(m *strictyaml.Map) {
	d.readID(m)
	m.Require("topic", "what people unsubscribe from, such as newsletter")
	d.readHead(m)
	m.Choice("priority", &d.Priority, NormalPriority, HighPriority)
	m.Map("audience", d.readAudience)
	d.readExclude(m)
	m.Map("content", d.readContent)
	m.Map("schedule", d.readSchedule)
	m.Map("delivery", d.readDelivery)
	if d.Schedule.Spread >= d.Delivery.ExpiresAfter {
		m.Problem("schedule.spread", "found %s, expected less than delivery.expires_after (%s): the last ones would be too late",
			units.FormatDuration(d.Schedule.Spread), units.FormatDuration(d.Delivery.ExpiresAfter))
	}
	if m.MapOrOff("guard", d.readGuard) {
		d.Guard = Guard{}
	}
	d.checkRecipient(m)
	m.MapOrOff("tracking", func(m *strictyaml.Map) {
		readSwitch(m, "opens", &d.Tracking.Opens)
		readSwitch(m, "clicks", &d.Tracking.Clicks)
	})
}

func (d *Definition) readID(m *strictyaml.Map) {
	m.Require("id", "a stable name such as october-news")
	m.Check("id", &d.ID, "1 to 64 lower-case letters, digits and -, beginning with a letter or digit", idPattern.MatchString)
}

// readHead reads what every message has besides its content.
func (d *Definition) readHead(m *strictyaml.Map) {
	m.Check("topic", &d.Topic, TopicForm, func(text string) bool { return IsTopic(strings.ToLower(text)) })
	d.Topic = strings.ToLower(d.Topic)
	m.Require("from", "the sender, such as "+mailboxExample)
	m.Text("from", &d.From, ReadMailbox)
	m.Text("reply_to", &d.ReplyTo, ReadMailbox)
	m.Require("subject", "the subject line, which may contain {{ }}")
	m.Text("subject", &d.Subject, readSubject)
	m.Text("preheader", &d.Preheader, strictyaml.OneLine)
	strictyaml.Zone(m, "timezone", &d.Timezone)
}

// readSwitch reads true or false. Files of earlier versions may say off.
func readSwitch(m *strictyaml.Map, name string, on *bool) {
	var text string
	m.Check(name, &text, "true or false", func(text string) bool {
		return text == "true" || text == "false" || text == "off" || text == ""
	})
	*on = text == "true"
}

func (d *Definition) readAudience(m *strictyaml.Map) {
	a := &d.Audience
	m.Require("source", "a file such as subscribers.csv, - for stdin, list:NAME, or an address: https://... or postgres://...")
	a.readSource(m)
	m.Check("email", &a.Email, "the name of a column", isHeader)
	m.StringMap("columns", &a.Columns, "FIELD: HEADER, with letters, digits and _ in FIELD", func(field, header string) bool {
		return fieldPattern.MatchString(field) && isHeader(header)
	})
	m.Check("sheet", &a.Sheet, "the name of a worksheet", isSheet)
	m.Check("encoding", &a.Encoding, "the name of an encoding such as windows-1252", encodingPattern.MatchString)
	d.readWhere(m)
	m.Check("sample", new(string), fmt.Sprintf("a share such as 10%%, or a number of recipients from 1 to %d", maxSample), a.Sample.read)
	strictyaml.Range(m, "expect", &a.Expect.Min, &a.Expect.Max)
}

// readSource reads where the recipients are, and for a source elsewhere how it is read.
func (a *Audience) readSource(m *strictyaml.Map) {
	const expected = "a .csv, .xlsx or .jsonl file (also .gz, .zst), - for stdin, list:NAME, or an https:// or postgres:// address"
	var r Remote
	m.Check("query", &r.Query, "the text of a query such as select email, first_name from subscribers", func(text string) bool {
		return strings.TrimSpace(text) != "" && len(text) <= maxQuery
	})
	strictyaml.Bool(m, "allow_private", &r.AllowPrivate)

	m.Value("source", expected, func(text string) (problem string) {
		switch {
		case IsRemote(text):
			r.Address = text
			if hasScheme(text, webSchemes...) {
				r.Query = "" // which is a problem of its own
			}
			a.Source = r.String()
			a.Remote = r
			return r.checkForm()
		case !isSource(text):
			return "found " + strictyaml.Quote(strictyaml.ShownURL(text)) + ", expected " + expected
		}
		a.Source = text
		return ""
	})

	isDatabase := !a.Remote.IsZero() && a.Remote.IsDatabase()
	switch {
	case isDatabase && !m.Has("query"):
		m.Problem("query", "missing, expected the query whose rows are the recipients, such as query: select email, first_name from subscribers")
	case !isDatabase && m.Has("query") && a.Source != "":
		m.Problem("query", "found a query, and the source is no database, expected source: postgres://USER:PASSWORD@HOST/DATABASE, or no query")
	}
	for _, name := range []string{"sheet", "encoding"} {
		if isDatabase && m.Has(name) {
			m.Problem(name, "found %s, which is for files, expected none: the source is a database", name)
		}
	}
	if r.AllowPrivate && a.Remote.IsZero() && a.Source != "" {
		m.Problem("allow_private", "found allow_private, and the source is not on another machine, expected source: https://..., or no allow_private")
	}
}

// readWhere reads the expression. Whether its fields exist is known with the audience.
func (d *Definition) readWhere(m *strictyaml.Map) {
	var err error
	m.Check("where", &d.Audience.Where, "an expression over the merge fields, such as 'plan == \"pro\"'", func(text string) bool {
		err = where.Check(text)
		return true
	})
	if err != nil {
		m.Problem("where", "%v", err)
	}
}

// read reads a share or a number.
func (s *SampleSize) read(text string) bool {
	if strings.HasSuffix(text, "%") {
		share, err := units.ParsePercent(text)
		s.Share = share
		return err == nil && share > 0
	}
	n, err := strconv.Atoi(text)
	s.Number = n
	return err == nil && n > 0 && n <= maxSample
}

// readExclude reads the exclusions: a text for each source, or the keys of a file
// that is not like an audience with a header in UTF-8.
func (d *Definition) readExclude(m *strictyaml.Map) {
	const expected = "list:NAME, run:ID, or a .csv, .xlsx or .jsonl file or its https:// address"
	text := func(source string) bool {
		if IsRemote(source) {
			d.Exclude = append(d.Exclude, readRemote(m, index("exclude", len(d.Exclude)), source))
			return true
		}
		d.Exclude = append(d.Exclude, Exclusion{Source: source})
		return isExclusion(source)
	}
	m.Items("exclude", expected, text, func(m *strictyaml.Map) {
		var e Exclusion
		m.Require("file", "a .csv, .xlsx or .jsonl file such as staff.csv")
		m.Value("file", "a .csv, .xlsx or .jsonl file", func(text string) (problem string) {
			switch {
			case IsRemote(text):
				e = readRemote(m, "file", text)
			case !isExclusion(text) || !isPlainFile(text):
				return "found " + strictyaml.Quote(text) + ", expected a .csv, .xlsx or .jsonl file or its https:// address"
			default:
				e.Source = text
			}
			return ""
		})
		strictyaml.Bool(m, "allow_private", &e.Remote.AllowPrivate)
		m.Check("email", &e.Email, "the name of a column", isHeader)
		m.Check("sheet", &e.Sheet, "the name of a worksheet", isSheet)
		m.Check("encoding", &e.Encoding, "the name of an encoding such as windows-1252", encodingPattern.MatchString)
		d.Exclude = append(d.Exclude, e)
	})
	if len(d.Exclude) > maxExclude {
		m.Problem("exclude", "found %d entries, expected at most %d: put them into one list with broadside list import", len(d.Exclude), maxExclude)
	}
}

// readRemote reads the address of a file of excluded addresses. What is wrong with it is
// reported under a key.
func readRemote(m *strictyaml.Map, key, address string) Exclusion {
	e := Exclusion{Remote: Remote{Address: address}}
	e.Source = e.Remote.String()
	problem := e.Remote.checkForm()
	if e.Remote.IsDatabase() {
		problem = "found " + strconv.Quote(e.Source) + ", expected a file or its https:// address: a query can leave people out by itself (where not ...)"
	}
	if problem != "" {
		m.Problem(key, "%s", problem)
	}
	return e
}

func (d *Definition) readContent(m *strictyaml.Map) {
	c := &d.Content
	m.Check("markdown", &c.Markdown, "the name of a file", isFile)
	m.Check("html", &c.HTML, "the name of a file", isFile)
	m.Check("text", &c.Text, "the name of a file", isFile)
	m.Check("layout", &c.Layout, "the name of a layout such as plain", idPattern.MatchString)
	m.Check("language", &c.Language, "the language of the letter, such as en, de or pt-BR", isLanguage)
	m.Check("logo", &c.Logo, "the https address of an image", isImageURL)
	strictyaml.Bool(m, "strict", &c.Strict)
	m.Value("feed", feedForm, c.readFeed)
	strictyaml.Bool(m, "allow_private", &c.AllowPrivate)
	if c.AllowPrivate && !m.Has("feed") {
		m.Problem("allow_private", "found true without a feed, which it is for: leave the key out")
	}
	m.Off("mjml", "make HTML of it and use html: FILE")
	switch {
	case m.Has("mjml"):
	case m.Has("markdown") && m.Has("html"):
		m.Problem("html", "found markdown and html, expected just one of them")
	case !m.Has("markdown") && !m.Has("html"):
		m.Problem("", "found neither markdown nor html, expected one of them, such as markdown: october.md")
	case c.Layout == "none" && c.HTML == "":
		m.Problem("layout", "found none with markdown, expected a layout such as plain: only html may come without")
	}
}

func (d *Definition) readSchedule(m *strictyaml.Map) {
	s := &d.Schedule
	m.Line("at", &s.At)
	m.Line("cron", &s.Cron)
	strictyaml.Duration(m, "max_lateness", &s.MaxLateness, time.Second, maxWait)
	s.readWindow(m)
	strictyaml.Duration(m, "spread", &s.Spread, time.Minute, maxWait)
	s.readRecipient(m)
	if s.At != "" && s.Cron != "" {
		m.Problem("cron", "found at and cron, expected just one of them")
	}
}

// readWindow reads the hours in which the run may send. What is in the file of holidays is
// known when that is opened.
func (s *Schedule) readWindow(m *strictyaml.Map) {
	var err error
	m.Check("window", &s.Window, window.Form, func(text string) bool {
		_, err = window.New(text, time.UTC, nil)
		return true
	})
	if err != nil {
		m.Problem("window", "%v", err)
	}
	m.Check("holidays", &s.Holidays, "the name of a file with a date such as 2026-12-25 in each line", isFile)
	if s.Holidays != "" && s.Window == "" {
		m.Problem("holidays", "found holidays without a window, expected window: %s", window.Form)
	}
}

func (d *Definition) readDelivery(m *strictyaml.Map) {
	v := &d.Delivery
	v.readAccounts(m)
	strictyaml.Rate(m, "rate", &v.Rate)
	strictyaml.Durations(m, "retry", &v.Retry, time.Second, 7*24*time.Hour)
	if len(v.Retry) > maxAttempts {
		m.Problem("retry", "found %d pauses, expected at most %d", len(v.Retry), maxAttempts)
	}
	strictyaml.Int(m, "max_attempts", &v.MaxAttempts, 1, maxAttempts, "a number of attempts")
	strictyaml.Duration(m, "expires_after", &v.ExpiresAfter, time.Second, maxWait)
	m.Choice("on_uncertain", &v.OnUncertain, Hold, Resend)
	m.Choice("durability", &v.Durability, Fast, Replicated)
}

// readAccounts reads the names of accounts, each alone or with a weight.
func (v *Delivery) readAccounts(m *strictyaml.Map) {
	add := func(text string) {
		name := strings.ToLower(text)
		if name != "" && slices.Contains(v.Accounts, name) {
			m.Problem(index("accounts", len(v.Accounts)), "found %s twice, expected each account once", text)
		}
		v.Accounts = append(v.Accounts, name)
	}
	total := 0
	m.Items("accounts", "the name of an account in the configuration, or {name, weight}", func(name string) bool {
		add(name)
		total++
		return true
	}, func(m *strictyaml.Map) {
		var name string
		weight := 1
		m.Require("name", "the name of an account in the configuration")
		m.Line("name", &name)
		strictyaml.Int(m, "weight", &weight, 0, maxWeight, "a weight")
		add(name)
		total += weight
		if m.Has("weight") {
			if v.Weights == nil {
				v.Weights = Weights{}
			}
			v.Weights[strings.ToLower(name)] = weight
		}
	})
	if len(v.Accounts) > 0 && total == 0 {
		m.Problem("accounts", "found the weight 0 for all of them, expected one that sends: 0 is for those that stand in for the others")
	}
}
