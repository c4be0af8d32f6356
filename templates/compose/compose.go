// Package compose makes the messages of a run: it fills in the merge fields of one
// recipient, and gives the message its Message-ID, return path and unsubscribe
// link.
//
// The message to a recipient is the same, byte for byte but for its Date, however
// often it is made. A run that resends the messages of another run gives them the
// identity that they had there. Where opens or clicks are counted, the reader's token has
// the Date in it.
package compose

import (
	"fmt"
	"net/mail"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/token"
	"broadside/templates"
	"broadside/templates/message"
)

// A Composer makes the messages of one run. What all recipients share is done
// once, when the Composer is made. It is safe for concurrent use.
type Composer struct {
	snapshot campaign.Snapshot
	template *templates.Template
	skeleton *message.Skeleton
	keys     *token.Keys
	from     string // the address alone
	domain   string // of the Message-IDs
}

// New compiles the content of a run. The error names every problem of
// the templates with its place.
func New(s campaign.Snapshot, keys *token.Keys) (*Composer, error) {
	var seal templates.Seal
	if keys != nil {
		seal = keys.AppendLink
	}
	template, err := templates.CompileSealed(s, seal)
	if err != nil {
		return nil, err
	}

	spec, err := message.FromSnapshot(s)
	if err != nil {
		return nil, err
	}

	skeleton, err := message.Compile(spec)
	if err != nil {
		return nil, err
	}

	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return nil, fmt.Errorf("from %q: %w", s.From, err)
	}

	at := strings.LastIndexByte(from.Address, '@')
	return &Composer{
		snapshot: s, template: template, skeleton: skeleton, keys: keys,
		from: from.Address, domain: strings.ToLower(from.Address[at+1:]),
	}, nil
}

// A Recipient is the recipient of one message.
type Recipient struct {
	Run         string
	Part, Index int
	Row         audience.Row
	Date        time.Time
	// Test marks a copy whose unsubscribe link does nothing.
	Test bool
	// To is where the message goes in place of the row's own address; empty: there.
	To string
}

// A Draft is one message. The next Compose reuses its buffers; it must not be
// copied.
type Draft struct {
	From, To string // envelope addresses
	Subject  string
	Message  []byte // RFC 5322, CRLF lines, 7-bit, none of which begins with a dot

	letter templates.Rendering
	part   message.Part
	words  []byte // buffer for the Message-ID, the link, the return path and the reader's token
	reader string // token; empty where nothing is followed
}

// Letter returns what the recipient of the composed message reads.
func (d *Draft) Letter() (*templates.Letter, error) {
	var l templates.Letter
	return &l, d.letter.Letter(&l)
}

// Compose makes the message of one recipient. Apart from the Date it is the same,
// byte for byte, in every attempt, and in a run that resends it.
func (c *Composer) Compose(d *Draft, r Recipient) error {
	if err := c.identify(&r); err != nil {
		return err
	}

	c.address(d, &r)
	data := templates.Data{Values: r.Row.Values, Unsubscribe: d.part.Unsubscribe, Reader: d.reader}
	if err := c.template.Begin(&d.letter, data); err != nil {
		return fmt.Errorf("render: %w", err)
	}

	d.Subject = d.letter.Subject
	d.part.To = d.To
	d.part.Subject = d.Subject
	d.part.Date = r.Date
	d.part.HTML = d.letter.HTML()
	d.part.Text = d.letter.Text()

	var err error
	d.Message, err = c.skeleton.Append(d.Message[:0], &d.part)
	if err != nil {
		return fmt.Errorf("build the message: %w", err)
	}

	return nil
}

// address fills in the envelope, the Message-ID, the link and address that unsubscribe, and
// the reader's token.
func (c *Composer) address(d *Draft, r *Recipient) {
	to := r.Row.Address.String()
	w := c.keys.AppendMessage(d.words[:0], r.Run, r.Part, r.Index)
	local := len(w)
	w = append(append(w, '@'), c.domain...)
	id := len(w)
	w = append(append(w, c.snapshot.PublicURL...), token.Path...)
	w = c.keys.AppendSeal(w, token.Unsubscribe{Topic: c.snapshot.Topic, Run: r.Run, Address: to, Test: r.Test})
	link := len(w)
	if c.snapshot.ReturnTo != "" {
		w = append(append(w, token.Prefix...), w[:local]...)
		w = append(append(w, '@'), c.snapshot.ReturnTo...)
	}

	back := len(w)
	if c.snapshot.Tracking.Any() {
		w = c.appendReader(w, r)
	}

	d.words = w
	all := string(w) // all of it at once: one allocation
	d.part.MessageID = all[:id]
	d.part.Unsubscribe = all[id:link]
	d.From = all[link:back]
	d.reader = all[back:]
	d.part.UnsubscribeMail = d.From // mail to the return path says which message it is about
	if d.From == "" {
		d.From = c.from
	}

	d.To = to
	if r.To != "" {
		d.To = r.To
	}
}

// appendReader appends the token that names the recipient in links that are followed. In a
// test copy it names no one: it is of no run.
func (c *Composer) appendReader(dst []byte, r *Recipient) []byte {
	run := r.Run
	if r.Test {
		run = ""
	}
	return c.keys.AppendReader(dst, run, r.Part, r.Index, r.Date)
}

// identify gives a message that is resent the identity that it had in the run
// that sent it first.
func (c *Composer) identify(r *Recipient) error {
	if c.snapshot.Origin == "" {
		return nil
	}

	columns := len(c.snapshot.Columns)
	origin, err := r.Row.Origin(columns)
	if err != nil {
		return fmt.Errorf("find the first message in run %s: %w", c.snapshot.Origin, err)
	}

	r.Run = c.snapshot.Origin
	r.Part = origin.Part
	r.Index = origin.Index
	r.Row.Values = r.Row.Values[:min(columns, len(r.Row.Values))]

	return nil
}
