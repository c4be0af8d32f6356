package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// A slot is a place in the skeleton that is filled per recipient.
type slot int

const (
	slotNone slot = iota
	slotDate
	slotTo
	slotSubject
	slotMessageID
	slotUnsubscribe
	slotBoundary
	slotTextEncoding
	slotText
	slotHTMLEncoding
	slotHTML
	slotToken
	slots
)

// A segment is text that is the same in all messages, and the slot after it.
type segment struct {
	text []byte
	slot slot
}

// A Skeleton is the message of a run with everything filled in that is the
// same for all recipients. It is never changed: any number of goroutines may
// use it.
type Skeleton struct {
	segments []segment
	single   bool // as in Spec
	size     int  // bytes in all segments, with room for short slots
}

// A Part is what one recipient's message has of its own. It is used again for
// the next one: it has buffers.
type Part struct {
	To          string // the address alone
	Subject     string
	HTML, Text  Body
	MessageID   string // unique@domain, without brackets; the same in every retry
	Unsubscribe string // https URL that unsubscribes by POST (RFC 8058)
	// UnsubscribeMail is an address that unsubscribes who writes to it (RFC 2369, 3.2);
	// empty: there is none.
	UnsubscribeMail string
	Date            time.Time // written in UTC

	encoder Encoder
	text    []byte // of a body that goes out as base64
}

// Compile lays out the message of a run. An error says which value of the
// Spec cannot stand in a header.
func Compile(spec Spec) (*Skeleton, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}

	mark := spec.freeMark()
	m, err := layout(spec, mark)
	if err != nil {
		return nil, err
	}

	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("lay out the message: %w", err)
	}
	if err := checkFolded(b.Bytes()); err != nil {
		return nil, err
	}

	return split(b.Bytes(), mark, spec.Single)
}

// freeMark returns letters that no value of the Spec contains.
func (s Spec) freeMark() string {
	all := strings.ToLower(fmt.Sprint(s))
	mark := "zq"
	for strings.Contains(all, mark) {
		mark += "q"
	}
	return mark
}

// placeholder is what stands for a slot while go-mail lays out the message.
func placeholder(mark string, s slot) string { return fmt.Sprintf("%s%c", mark, 'a'+int(s)) }

// layout has go-mail write headers and multipart structure around
// placeholders.
func layout(spec Spec, mark string) (*gomail.Msg, error) {
	from, err := parseMailbox("from", spec.From)
	if err != nil {
		return nil, err
	}

	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary(placeholder(mark, slotBoundary)))
	m.FromMailAddress(from)
	if spec.ReplyTo != "" {
		reply, err := parseMailbox("reply_to", spec.ReplyTo)
		if err != nil {
			return nil, err
		}
		m.ReplyToMailAddress(reply)
	}

	if err := m.To(placeholder(mark, slotTo) + "@to.invalid"); err != nil {
		return nil, fmt.Errorf("lay out To: %w", err)
	}

	m.SetGenHeader(gomail.HeaderDate, placeholder(mark, slotDate))
	m.SetGenHeader(gomail.HeaderSubject, placeholder(mark, slotSubject))
	m.SetGenHeader(gomail.HeaderMessageID, "<"+placeholder(mark, slotMessageID)+">")
	if spec.Single {
		m.SetGenHeader("Auto-Submitted", "auto-generated")
	} else {
		layoutList(m, spec, mark)
	}
	if spec.FeedbackID != "" {
		m.SetGenHeader("Feedback-ID", spec.FeedbackID)
	}

	if spec.TokenHeader != "" {
		m.SetGenHeader(gomail.Header(spec.TokenHeader), placeholder(mark, slotToken))
	}

	for _, h := range spec.Headers {
		m.SetGenHeader(gomail.Header(h.Name), h.Value)
	}

	m.SetBodyString(gomail.TypeTextPlain, placeholder(mark, slotText),
		gomail.WithPartEncoding(gomail.Encoding(placeholder(mark, slotTextEncoding))))
	m.AddAlternativeString(gomail.TypeTextHTML, placeholder(mark, slotHTML),
		gomail.WithPartEncoding(gomail.Encoding(placeholder(mark, slotHTMLEncoding))))

	return m, nil
}

// layoutList writes the headers of a message that goes to everybody on a list.
func layoutList(m *gomail.Msg, spec Spec, mark string) {
	m.SetGenHeader(gomail.HeaderListUnsubscribe, "<"+placeholder(mark, slotUnsubscribe)+">")
	m.SetGenHeader(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	// Keeps vacation replies away; many responders know only this header.
	m.SetGenHeader(gomail.HeaderPrecedence, "bulk")
	id := "<" + spec.ListID + ">"
	if spec.ListName != "" {
		id = phrase(spec.ListName) + " " + id
	}

	m.SetGenHeader("List-Id", id)
}

// split cuts the laid-out message at its placeholders.
func split(b []byte, mark string, single bool) (*Skeleton, error) {
	// go-mail writes the boundary without quotes; ours has "=" in it.
	b = bytes.Replace(b, []byte("boundary="+placeholder(mark, slotBoundary)), []byte(`boundary="`+placeholder(mark, slotBoundary)+`"`), 1)
	b = bytes.Replace(b, []byte("@to.invalid"), nil, 1)
	sk := &Skeleton{single: single, size: len(b) + 1024}
	var seen [slots]int
	for {
		before, after, ok := bytes.Cut(b, []byte(mark))
		if !ok {
			sk.segments = append(sk.segments, segment{slices.Clone(b), slotNone})
			break
		}

		if len(after) == 0 || after[0] <= 'a' || after[0] >= 'a'+byte(slots) {
			return nil, fmt.Errorf("lay out the message: unexpected text after a placeholder")
		}
		s := slot(after[0] - 'a')
		seen[s]++
		sk.segments = append(sk.segments, segment{slices.Clone(before), s})
		b = after[1:]
	}

	for s := slotDate; s < slots; s++ {
		want := 1
		switch {
		case s == slotBoundary:
			want = 4 // the header, two parts, the end
		case s == slotUnsubscribe && single:
			want = 0
		case s == slotToken:
			want = min(1, seen[s]) // few relays need it
		}
		if seen[s] != want {
			return nil, fmt.Errorf("lay out the message: slot %d occurs %d times, not %d", s, seen[s], want)
		}
	}

	return sk, nil
}

// Append appends the whole message of one recipient to dst. An error is about
// a value that cannot stand in a header (errors.Is ErrControl when it has a
// control character), or that of a Body, and leaves dst as it was.
func (sk *Skeleton) Append(dst []byte, p *Part) ([]byte, error) {
	if err := p.check(sk.single); err != nil {
		return dst, err
	}

	var id [maxID]byte
	sum := sha256.Sum256(append(id[:0], p.MessageID...))
	out := slices.Grow(dst, sk.size)
	encoding := 0
	for i := range sk.segments {
		s := &sk.segments[i]
		out = append(out, s.text...)
		var err error
		switch s.slot {
		case slotDate:
			out = p.Date.UTC().AppendFormat(out, "Mon, 02 Jan 2006 15:04:05 -0700")
		case slotTo:
			out = append(out, p.To...)
		case slotSubject:
			out = appendUnstructured(out, len("Subject: "), p.Subject)
		case slotMessageID:
			out = append(out, p.MessageID...)
		case slotToken:
			out = append(out, p.MessageID[:strings.IndexByte(p.MessageID, '@')]...)
		case slotUnsubscribe:
			out = p.appendUnsubscribe(out)
		case slotBoundary:
			// "=_" occurs neither in quoted-printable nor in base64.
			out = hex.AppendEncode(append(out, "=_"...), sum[:16])
		case slotTextEncoding, slotHTMLEncoding:
			encoding = len(out)
			out = append(out, "quoted-printable"...)
		case slotText:
			out, err = p.appendBody(out, p.Text, encoding, s.text)
		case slotHTML:
			out, err = p.appendBody(out, p.HTML, encoding, s.text)
		}

		if err != nil {
			return dst, err
		}
	}

	return out, nil
}

// appendUnsubscribe appends what stands between the brackets of List-Unsubscribe. The
// https URL comes first: RFC 8058 allows just one, and some programs look no further.
func (p *Part) appendUnsubscribe(dst []byte) []byte {
	dst = append(dst, p.Unsubscribe...)
	if p.UnsubscribeMail == "" {
		return dst
	}
	dst = append(dst, ">,\r\n <mailto:"...)
	dst = append(dst, p.UnsubscribeMail...)
	return append(dst, "?subject=unsubscribe"...)
}

// appendBody appends a body as quoted-printable, as was announced at
// dst[encoding:]; or it announces base64 there where that is shorter. between
// is what stands between announcement and body.
func (p *Part) appendBody(dst []byte, b Body, encoding int, between []byte) ([]byte, error) {
	out, err := p.encoder.encode(dst, b, quoted)
	if err != nil || !p.encoder.preferBase64() {
		return out, err
	}
	if p.text, err = p.encoder.encode(p.text[:0], b, canonical); err != nil {
		return dst, err
	}
	dst = append(append(dst[:encoding], "base64"...), between...)
	return appendBase64(dst, p.text), nil
}

// check checks a part; that of a single message needs no link to unsubscribe.
func (p *Part) check(single bool) error {
	if err := checkAddress(p.To); err != nil {
		return err
	}
	if err := checkValue("Subject", p.Subject); err != nil {
		return err
	}
	if len(p.Subject) > maxSubject {
		return fmt.Errorf("subject of %d bytes: at most %d", len(p.Subject), maxSubject)
	}
	if err := checkID(p.MessageID); err != nil {
		return err
	}
	if !single {
		if err := checkURL(p.Unsubscribe); err != nil {
			return err
		}
	}
	if p.UnsubscribeMail != "" {
		if err := checkMailto(p.UnsubscribeMail); err != nil {
			return err
		}
	}
	if y := p.Date.UTC().Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("date %v: expected the time of sending", p.Date)
	}

	return nil
}
