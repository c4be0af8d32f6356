package bounce

import (
	"strings"
)

// contents are the parts of a message by what they are for.
type contents struct {
	head     header
	texts    []string  // what people are meant to read
	status   []*entity // delivery-status parts (RFC 3464, RFC 6533)
	feedback *entity   // a feedback report (RFC 5965); nil: none
	receipt  bool      // a disposition notification (RFC 8098): somebody read, or deleted, a message
	returned []*entity // the message that came back, or its header

	text    string // all that people are meant to read
	phrases string // the same, and subject in the form of the phrases of marks.go
	subject string

	found []finding // what findings returns; nil until it was asked
}

// contentsOf sorts the parts of a message.
func contentsOf(m *entity) *contents {
	c := &contents{head: m.header}
	c.add(m)
	c.unwrap()
	if strings.EqualFold(m.params["report-type"], "disposition-notification") {
		c.receipt = true
	}
	c.takeInline()
	c.text = limitedText(strings.Join(c.texts, "\n\n"))
	c.phrases = plain(c.text)
	c.subject = plain(m.header.get("Subject"))
	return c
}

// unwrap takes the contents of a notice that a virus scanner or a gateway has put
// into one of its own, which says nothing.
func (c *contents) unwrap() {
	if c.status != nil || c.feedback != nil || len(c.returned) != 1 || c.returned[0].kind != "multipart/report" || !c.fromDaemon() {
		return
	}
	inner := &contents{head: c.head}
	inner.add(c.returned[0])
	if inner.status != nil {
		*c = *inner
	}
}

func (c *contents) add(e *entity) {
	switch e.kind {
	case "message/delivery-status", "message/global-delivery-status", "text/delivery-status":
		c.status = append(c.status, e)
	case "message/feedback-report":
		c.feedback = e
	case "message/disposition-notification", "message/global-disposition-notification":
		c.receipt = true
	case "message/rfc822", "message/global":
		c.returned = append(c.returned, e.parts...)
	case "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
		c.addHeader(e.decoded(maxText))
	case "multipart/alternative":
		c.addAlternative(e)
	default:
		c.addOther(e)
	}
}

func (c *contents) addOther(e *entity) {
	switch {
	case len(e.parts) > 0:
		for _, part := range e.parts {
			c.add(part)
		}
	case strings.HasPrefix(e.kind, "text/"), strings.HasPrefix(e.kind, "multipart/"):
		attached := strings.HasPrefix(strings.ToLower(e.header.get("Content-Disposition")), "attachment")
		if attached && c.addHeader(e.decoded(maxText)) {
			return
		}
		c.texts = append(c.texts, e.text())
	}
}

// addAlternative takes the plain text where there is one, else what there is.
func (c *contents) addAlternative(e *entity) {
	before := len(c.texts)
	for _, part := range e.parts {
		c.add(part)
		if len(c.texts) > before && strings.TrimSpace(c.texts[len(c.texts)-1]) != "" {
			return
		}
	}
	if len(e.parts) == 0 {
		c.texts = append(c.texts, e.text())
	}
}

// addHeader takes a text for the header of the message that came back, and reports
// whether it is one.
func (c *contents) addHeader(text []byte) bool {
	e := &entity{kind: "text/plain"}
	e.header, e.raw = splitHeader([]byte(strings.TrimLeft(string(text), " \t\n")))
	if !e.header.ofMessage() {
		return false
	}
	c.returned = append(c.returned, e)
	return true
}

// takeInline takes the message that came back out of the texts, where it is not a
// part of its own: most notices of no standard have it below a line that says so.
func (c *contents) takeInline() {
	for i, text := range c.texts {
		at, next := returnedAt(text)
		if at < 0 {
			continue
		}
		c.addHeader([]byte(unquoted(text[next:])))
		c.texts[i] = text[:at]
		c.texts = c.texts[:i+1]
		return
	}
}

// unquoted takes the marks of quoting off the lines of a text.
func unquoted(text string) string {
	if !strings.HasPrefix(strings.TrimLeft(text, "\n "), ">") {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimLeft(line, "> "))
	}
	return b.String()
}

func limitedText(text string) string {
	if len(text) > maxText {
		return strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}
