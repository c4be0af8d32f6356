package bounce

import (
	"regexp"
	"strconv"
	"strings"

	"broadside/campaign"
)

// maxNotices is how many recipients of one message are told of.
const maxNotices = 100

// A recipientStatus is what a delivery-status part says of one recipient (RFC 3464
// 2.3).
type recipientStatus struct {
	fields header
}

// recipientFields are the fields that a recipient has once. They tell where the next
// recipient begins, since the blank lines between them are often missing, or too many.
var recipientFields = map[string]bool{
	"original-recipient": true, "final-recipient": true, "action": true, "status": true, "diagnostic-code": true,
	"remote-mta": true, "last-attempt-date": true, "will-retry-until": true, "final-log-id": true, "x-actual-recipient": true,
}

// statusesOf divides delivery-status fields into recipients.
func statusesOf(text string) []recipientStatus {
	var all []recipientStatus
	var now recipientStatus
	blank := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		name, value, ok := cutField([]byte(line))
		name = strings.ToLower(name)
		switch {
		case strings.TrimSpace(line) == "":
			blank = true
			continue
		case !ok || line[0] == ' ' || line[0] == '\t':
			now.continued(line)
			continue
		case !recipientFields[name]:
			now.fields = append(now.fields, field{name, limited(value)})
			blank = false
			continue
		}

		opens := name == "original-recipient" || name == "final-recipient" || name == "action"
		if now.fields.has(name) || blank && opens && now.complete() {
			all = append(all, now)
			now = recipientStatus{}
		}
		now.fields = append(now.fields, field{name, limited(value)})
		blank = false
		if len(all) == maxNotices {
			return all
		}
	}
	return append(all, now)
}

// continued adds a folded line to the last field.
func (s *recipientStatus) continued(line string) {
	if len(s.fields) == 0 {
		return
	}
	last := &s.fields[len(s.fields)-1]
	if len(last.value) < maxField {
		last.value = limited(last.value + " " + strings.TrimSpace(line))
	}
}

func (s *recipientStatus) complete() bool {
	return s.fields.has("final-recipient", "original-recipient") && s.fields.has("action", "status")
}

// any reports whether the fields are of a recipient at all, and not those of the
// message that stand before the first one.
func (s *recipientStatus) any() bool {
	return s.fields.has("final-recipient", "original-recipient", "action", "status", "diagnostic-code")
}

// recipient returns the address; empty when none is given.
func (s *recipientStatus) recipient() string {
	for _, name := range []string{"original-recipient", "final-recipient", "x-actual-recipient"} {
		value := afterType(s.fields.get(name))
		if a := addressOf(unescaped(value)); a != "" {
			return a
		}
	}
	return ""
}

// afterType takes the type off a value: "rfc822; ann@example.net".
func afterType(value string) string {
	kind, rest, ok := strings.Cut(value, ";")
	if !ok || strings.ContainsAny(kind, "@<") {
		return strings.TrimSpace(value)
	}
	return strings.TrimSpace(rest)
}

var escapedForm = regexp.MustCompile(`\\x\{[0-9A-Fa-f]{1,6}\}`)

// unescaped decodes the characters of a utf-8-addr-xtext (RFC 6533 3).
func unescaped(value string) string {
	if !strings.Contains(value, `\x{`) {
		return value
	}
	return escapedForm.ReplaceAllStringFunc(value, func(s string) string {
		n, err := strconv.ParseUint(s[3:len(s)-1], 16, 32)
		if err != nil {
			return s
		}
		return string(rune(n))
	})
}

var statusForm = regexp.MustCompile(`[245]\.\d{1,3}\.\d{1,3}`)

// status returns the enhanced status code; empty when there is none.
func (s *recipientStatus) status() string { return statusForm.FindString(s.fields.get("status")) }

// diagnostic returns what the server said, else what the comment of the status says.
func (s *recipientStatus) diagnostic() string {
	diagnostic := afterType(s.fields.get("diagnostic-code"))
	if strings.ContainsFunc(diagnostic, isLetter) {
		return said(diagnostic)
	}
	_, comment, _ := strings.Cut(s.fields.get("status"), "(")
	return said(strings.TrimRight(comment, ") "))
}

// class returns what the part claims for the recipient.
func (s *recipientStatus) class() campaign.Class {
	action := strings.ToLower(s.fields.get("action"))
	temporary := strings.HasPrefix(s.status(), "4")
	switch {
	case strings.HasPrefix(action, "delay"):
		return campaign.ClassDelayed
	case strings.HasPrefix(action, "deliver"), strings.HasPrefix(action, "relay"), strings.HasPrefix(action, "expand"):
		return campaign.ClassDelivered
	case !strings.HasPrefix(action, "fail") && strings.HasPrefix(s.status(), "2"):
		return campaign.ClassDelivered
	case temporary:
		return campaign.ClassSoft
	}
	return campaign.ClassHard
}

// statusNotices returns a notice for each recipient of the delivery-status parts.
func (c *contents) statusNotices() []campaign.Notice {
	var all []campaign.Notice
	for _, text := range c.statusTexts() {
		for _, s := range statusesOf(text) {
			if !s.any() || len(all) == maxNotices {
				continue
			}
			all = append(all, c.statusNotice(&s))
		}
	}
	return all
}

// statusTexts returns the delivery-status parts. Some gateways make them a text.
func (c *contents) statusTexts() []string {
	var all []string
	for _, e := range c.status {
		all = append(all, string(e.decoded(maxText)))
	}
	if all != nil || !c.returnsMessage() {
		return all
	}
	for _, text := range c.texts {
		if at := inlineStatus.FindStringIndex(text); at != nil {
			all = append(all, text[at[0]:])
		}
	}
	return all
}

var inlineStatus = regexp.MustCompile(`(?im)^(?:Reporting-MTA|Original-Recipient|Final-Recipient)[ \t]*:[ \t]*(?:dns|rfc822|utf-8)[ \t]*;`)

// statusNotice returns the notice about one recipient. What is missing may stand in the
// text for people; the stage of the dialogue stands only there.
func (c *contents) statusNotice(s *recipientStatus) campaign.Notice {
	n := campaign.Notice{Class: s.class(), Recipient: s.recipient(), Status: s.status(), Reply: s.diagnostic()}
	if n.Class == campaign.ClassDelivered {
		return n
	}

	block := c.blockOf(n.Recipient)
	if n.Recipient == "" {
		n.Recipient = block.address
	}
	if to := c.sentTo(); n.Recipient == "" && len(to) > 0 {
		n.Recipient = to[0]
	}
	if n.Reply == "" {
		n.Reply = block.said
	}
	if words := stageWords(strings.Join(strings.Fields(block.whole), " ")); words != "" && stageWords(n.Reply) == "" {
		n.Reply += " (" + words + ")"
	}
	return n
}

// blockOf returns what the text for people says of a recipient; where it names none,
// or no address is given, the whole text is about it.
func (c *contents) blockOf(address string) finding {
	found := c.findings()
	for _, f := range found {
		if address == "" || strings.EqualFold(address, f.address) {
			return f
		}
	}
	if len(found) > 0 {
		return finding{}
	}
	return finding{said: explanation("", c.text, true), whole: c.text}
}
