package campaign

import (
	"time"
)

// A Definition is one campaign file: its audience, message, time and pace. Load reads it; the field comments show the YAML key.
type Definition struct {
	ID        string      // id: stable name; run ids begin with it
	Topic     string      // topic: what people unsubscribe from
	From      string      // from: Name <address>, or an address alone
	ReplyTo   string      // reply_to
	Subject   string      // subject: a template
	Preheader string      // preheader: a template
	Timezone  string      // timezone: IANA name; empty: the config's
	Priority  string      // priority: normal (default) or high
	Audience  Audience    // audience
	Exclude   []Exclusion // exclude: list:NAME, run:ID, a file or its https address, or {file, email, encoding}
	Content   Content     // content
	Schedule  Schedule    // schedule
	Delivery  Delivery    // delivery
	Guard     Guard       // guard
	Tracking  Tracking    // tracking

	// File is the path that the definition was read from; Dir its directory,
	// which the paths in it are relative to.
	File, Dir string
	// Source is the text of the file.
	Source []byte
	// Lines maps a dotted key ("content.markdown") to its place in the file.
	Lines map[string]Pos
}

// A Pos is a place in a campaign file; both count from 1.
type Pos struct{ Line, Column int }

// An Audience says where the recipients come from.
type Audience struct {
	Source   string            // source: a file, "-" or list:NAME; of a Remote what may be shown of it
	Remote   Remote            `json:",omitzero"` // source, query and allow_private of what is read elsewhere
	Email    string            // email: column of the address; empty when exactly one fits
	Columns  map[string]string // columns: merge field -> header
	Sheet    string            // sheet: of a workbook; empty: the first that is not hidden
	Encoding string            // encoding: an IANA charset name; empty: UTF-8
	Where    string            // where: an expression over the merge fields; empty: all rows
	Sample   SampleSize        // sample: 10%, or a number of recipients
	Expect   Range             // expect: 9000-11000
}

// A SampleSize is how many recipients of an audience are sent to, by chance: a share or a
// number. The zero SampleSize is all of them.
type SampleSize struct {
	Share  float64 `json:",omitempty"` // from 0 to 1
	Number int     `json:",omitempty"`
}

// maxSample is the largest number of a SampleSize: these recipients are held in memory.
const maxSample = 1_000_000

// An Exclusion names addresses that are left out of a run.
type Exclusion struct {
	Source   string // list:NAME; run:ID or run:CAMPAIGN; a file; of a Remote what may be shown of it
	Remote   Remote `json:",omitzero"` // a file on the web
	Email    string // email: column of the address in a file; empty: any
	Sheet    string // sheet: of a workbook; empty: the only one that is not blank
	Encoding string // encoding: of a file, as in an Audience
}

// String returns the source, with the options of a file that has any.
func (e Exclusion) String() string {
	text := e.Source
	for _, option := range [][2]string{{"email", e.Email}, {"sheet", e.Sheet}, {"encoding", e.Encoding}} {
		if option[1] != "" {
			text += " (" + option[0] + " " + option[1] + ")"
		}
	}
	return text
}

// A Range is an inclusive range of audience sizes; the zero Range allows any.
type Range struct{ Min, Max int64 }

// Content names the files of the message.
type Content struct {
	Markdown string // markdown: FILE
	HTML     string // html: FILE (exactly one of the two)
	Text     string // text: FILE that overrides the automatic text part
	Layout   string // layout: default "plain"; "none" only for html
	Language string // language: of the letter, such as de or pt-BR; empty: DefaultLanguage, and each reader's own on pages
	Logo     string // logo: URL of an image in place of the sender's name above the letter
	Strict   bool   // strict: a blank value that leaves a gap is an error

	Feed         string `json:",omitempty"` // feed: address of an RSS, Atom or JSON feed whose new items are sent; empty: none
	AllowPrivate bool   `json:",omitempty"` // allow_private: the feed may have an address that is not on the public Internet
}

// A Schedule is raw text here; scheduler/calendar parses it.
type Schedule struct {
	At          string        // at: 2026-10-01T09:00, with or without an offset
	Cron        string        // cron: five fields, @daily, @every 1h
	MaxLateness time.Duration // max_lateness: default 1h

	Window   string        // window: Mon-Fri 08:00-20:00, in which the run may send; empty: always
	Holidays string        // holidays: a file with dates without a window; empty: none
	Spread   time.Duration // spread: the run's messages leave evenly over it; 0: as fast as the limits allow

	Recipient    bool   // timezone: recipient; all these times are by each recipient's own clock
	ZoneField    string // timezone_field: the merge field with the name of a recipient's zone
	ZoneFallback string // timezone_fallback: the zone of those who name none; empty: that of the campaign
	WhenPassed   string // when_passed: now, next-day or skip, of those whose time has passed when the run is made
}

// IsZero reports whether the file says nothing of when the run begins.
func (s Schedule) IsZero() bool { return s.At == "" && s.Cron == "" }

// Delivery says how fast, by which way out and with how much patience.
type Delivery struct {
	Accounts     []string        // accounts: names in the config; empty when there is exactly one for marketing
	Weights      Weights         // accounts: [{name, weight}]
	Rate         float64         // rate: messages a second; 0 is no limit
	Retry        []time.Duration // retry: default DefaultRetry; the last one repeats
	MaxAttempts  int             // max_attempts: 1 to 15, default 12
	ExpiresAfter time.Duration   // expires_after: default 48h
	OnUncertain  string          // on_uncertain: hold (default) or resend
	Durability   string          // durability: fast (default) or replicated
}

// Tracking says what is counted of what readers do with a letter. Nothing is unless a
// campaign asks for it.
type Tracking struct {
	Opens  bool `json:"opens,omitempty"`  // opens: a picture in the letter
	Clicks bool `json:"clicks,omitempty"` // clicks: links lead through public_url
}

// Any reports whether anything is counted.
func (t Tracking) Any() bool { return t.Opens || t.Clicks }

// Which run goes first.
const (
	NormalPriority = "normal" // it shares accounts evenly with others of its kind
	HighPriority   = "high"   // it goes before those of normal priority
)

// What happens to uncertain recipients, and what a claim waits for.
const (
	Hold       = "hold"       // they are reported, and left alone
	Resend     = "resend"     // they are tried again after 15 minutes
	Fast       = "fast"       // a claim holds when Redis has it
	Replicated = "replicated" // a claim holds when a replica has it too
)

// DefaultRetry is the pause after the first, second, ... deferral.
var DefaultRetry = []time.Duration{
	5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
}

// Defaults of a campaign file.
const (
	DefaultMaxAttempts  = 12
	DefaultExpiresAfter = 48 * time.Hour
	DefaultMaxLateness  = time.Hour
	DefaultLayout       = "plain"
	DefaultLanguage     = "en" // that of the layouts' own words
)
