package bounce

import (
	"regexp"
	"strings"
	"unicode"

	"broadside/campaign"
)

// Limits of what is said of a recipient in a text for people.
const (
	maxNames = 500  // lines that name a recipient
	maxLines = 60   // lines that are looked at behind the recipient
	maxSaid  = 1000 // bytes that are kept
)

// plain makes a text comparable with the phrases of marks.go.
func plain(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	blank := false
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			blank = b.Len() > 0
			continue
		case r == '’' || r == '‘' || r == '`' || r == '´':
			r = '\''
		default:
			r = unicode.ToLower(r)
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

func containsAny(text string, phrases []string) bool {
	for _, phrase := range phrases {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

func isLetter(r rune) bool { return unicode.IsLetter(r) }

// headerLines find the header of a returned message without a line that says so.
var headerLines = regexp.MustCompile(`(?m)^(?:Received|Return-Path|DKIM-Signature|X-Originating-IP):[ \t]*\S.*$|^(?:From|To|Subject|Date|Message-ID|MIME-Version|X-Mailer):[ \t]*\S.*\n(?:[ \t]+\S.*\n)*(?:From|To|Subject|Date|Message-ID|MIME-Version|Content-Type|X-Mailer):[ \t]*\S.*\n(?:[ \t]+\S.*\n)*(?:From|To|Subject|Date|Message-ID|MIME-Version|Content-Type|X-Mailer):`)

// returnedAt finds where a text quotes the message that it returns: at is where the
// notice ends, below 0 when the text returns nothing, and next where the message begins.
func returnedAt(text string) (at, next int) {
	at = -1
	if found := headerLines.FindStringIndex(text); found != nil {
		at = found[0]
		next = found[0]
	}

	start := 0
	for line := range strings.Lines(text) {
		end := start + len(line)
		if at >= 0 && start >= at {
			break
		}
		if len(line) < 200 && start > 0 && marksReturned(line, text[end:]) {
			return start, end
		}
		start = end
	}
	return at, next
}

// marksReturned reports whether the message that came back begins behind a line. The
// phrases of returnedMarks occur in sentences too, behind which the notice goes on.
func marksReturned(line, rest string) bool {
	line = plain(line)
	for _, mark := range returnedMarks {
		if strings.Contains(line, mark) {
			ruled := strings.Contains(line, "---") || strings.Contains(line, "===") || strings.Contains(line, "***")
			return ruled || len(line) < len(mark)+12 || headed(rest)
		}
	}
	return false
}

// headed reports whether a text begins with a header, or ends.
func headed(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.Trim(line, "> \t\r\n-=*_#")
		if line == "" {
			continue
		}
		_, _, ok := cutField([]byte(line))
		return ok
	}
	return true
}

// A finding is a recipient that a text names, and what it says of it.
type finding struct {
	address string
	whole   string // the lines about it
	said    string // what they say, as one line
}

// findings returns the recipients that the text for people names.
func (c *contents) findings() []finding {
	if c.found != nil {
		return c.found
	}

	lines := strings.Split(c.text, "\n")
	not := c.notRecipients()

	at := namesIn(lines, not)
	if at == nil {
		at = namesIn(lines, nil) // who wrote to oneself
	}
	all := []finding{}
	for i, name := range at {
		end := len(lines)
		for _, next := range at[i+1:] {
			if !strings.EqualFold(next.address, name.address) {
				end = next.line
				break
			}
		}
		block := strings.Join(lines[name.line:min(end, name.line+maxLines)], "\n")
		all = addFinding(all, name.address, block)
	}

	for i := range all {
		all[i].said = explanation(all[i].whole, c.text, len(all) == 1)
	}
	c.found = all
	return all
}

// explanation returns what a notice says of a recipient: the reply of a server, or what
// stands behind the address, or the whole text where it is about this recipient only.
func explanation(block, text string, only bool) string {
	if reply := withReply(block); reply != "" {
		return reply
	}
	if !only {
		return said(block)
	}
	if reply := withReply(text); reply != "" {
		return reply
	}
	if !worded(block) {
		return said(withoutOpenings(text))
	}
	return said(block)
}

// worded reports whether a text says more than an address.
func worded(text string) bool {
	letters := 0
	for _, r := range addressForm.ReplaceAllString(text, "") {
		if isLetter(r) {
			letters++
		}
	}
	return letters > 4
}

// maxAround is how much longer a sentence may be than the phrase by which it is known.
const maxAround = 40

// withoutOpenings returns the text without the sentences that say only that a message
// came back, and not why.
func withoutOpenings(text string) string {
	var rest strings.Builder
	for _, paragraph := range paragraphs(text) {
		for sentence := range strings.SplitSeq(paragraph, ". ") {
			if !opensOnly(sentence) {
				rest.WriteString(sentence + ". ")
			}
		}
	}
	if !worded(rest.String()) {
		return ""
	}
	return rest.String()
}

func opensOnly(sentence string) bool {
	form := plain(sentence)
	for _, phrase := range bounceOpenings {
		if strings.Contains(form, phrase) {
			return len(form) <= len(phrase)+maxAround && nothingElse(nil, sentence)
		}
	}
	return false
}

// withReply returns the first paragraph that has the reply of a server; empty when
// none has.
func withReply(text string) string {
	for _, paragraph := range paragraphs(text) {
		if hasReply(paragraph) {
			return paragraph
		}
	}
	return ""
}

// paragraphs divides a text at blank lines and rules, and makes one line of each.
func paragraphs(text string) []string {
	var all []string
	var now strings.Builder
	end := func() {
		if now.Len() > 0 {
			all = append(all, said(now.String()))
			now.Reset()
		}
	}
	for line := range strings.Lines(text) {
		if strings.ContainsFunc(line, wordRune) {
			now.WriteString(line)
		} else {
			end()
		}
	}
	end()
	return all
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// addFinding adds what a text says of an address to what it said before.
func addFinding(all []finding, address, block string) []finding {
	for i := range all {
		if strings.EqualFold(all[i].address, address) {
			if !strings.Contains(all[i].whole, block) {
				all[i].whole += "\n" + block
			}
			return all
		}
	}
	if len(all) == maxNotices {
		return all
	}
	return append(all, finding{address: address, whole: block})
}

// A name is the address of a recipient in a line.
type name struct {
	address string
	line    int
}

// namesIn finds the recipients in lines. Addresses of which it is known that they are
// no recipients do not count, nor do postmasters and our return paths.
func namesIn(lines, not []string) []name {
	var certain, loose []name
	forms := len(looseForms) // of these, those that are still worth looking for
	for i, line := range lines {
		if len(certain) == maxNames {
			break
		}
		if len(line) > maxSaid || !strings.Contains(line, "@") || strings.HasPrefix(line, ">") && !strings.HasPrefix(line, ">>>") {
			continue
		}
		if address, _ := recipientIn(line, recipientForms, not); address != "" {
			certain = append(certain, name{address, i})
			continue
		}
		if certain != nil {
			continue
		}
		line = fromForm.ReplaceAllString(line, "")
		if address, form := recipientIn(line, looseForms[:forms], not); address != "" {
			loose = []name{{address, i}}
			forms = form
		}
	}
	if certain != nil {
		return certain
	}
	return loose
}

// recipientIn returns the recipient in a line, and the number of the form that found
// it; empty when no form does.
func recipientIn(line string, forms []recipientForm, not []string) (address string, form int) {
	for i, form := range forms {
		found := form.expr.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		address := strings.TrimLeft(found[1], "'.")
		if !hasAddress(not, address) && !ofOperator(address) && !returnPathToken.MatchString(address) {
			return address, i
		}
	}
	return "", 0
}

// ofOperator reports whether an address is one of those that notices give for help.
func ofOperator(address string) bool {
	local, _, _ := strings.Cut(strings.ToLower(address), "@")
	switch local {
	case "postmaster", "mailer-daemon", "abuse", "support", "helpdesk", "hostmaster", "root":
		return true
	}
	return false
}

// said makes one line of what a text says, not more than is kept: around the reply
// of a server where there is one, else from its beginning.
func said(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxSaid {
		return text
	}

	start := 0
	if at, _, ok := replyIn(text); ok {
		start = max(0, at-maxSaid/4)
	}
	end := min(len(text), start+maxSaid)
	return strings.ToValidUTF8(text[start:end], "")
}

// textNotices returns what a notice in the words of a mail system says.
func (c *contents) textNotices() []campaign.Notice {
	class := c.textClass()
	var all []campaign.Notice
	found := c.findings()
	for _, a := range c.failed() {
		all = append(all, campaign.Notice{Class: class, Recipient: a, Reply: c.blockOf(a).said})
	}
	if all != nil {
		return all
	}

	for _, f := range found {
		all = append(all, campaign.Notice{Class: class, Recipient: f.address, Reply: f.said})
	}
	if all != nil {
		return all
	}

	n := campaign.Notice{Class: class, Reply: said(c.text)}
	if to := c.sentTo(); len(to) > 0 {
		n.Recipient = to[0]
	}
	return []campaign.Notice{n}
}

// failed returns the addresses of the field that Exim and Gmail add.
func (c *contents) failed() []string {
	var all []string
	for _, value := range c.head.all("X-Failed-Recipients") {
		all = append(all, addressesIn(value)...)
	}
	return all[:min(len(all), maxNotices)]
}

// textClass returns what a notice claims for its recipients.
func (c *contents) textClass() campaign.Class {
	late := containsAny(c.subject, delays) || containsAny(c.phrases, delays)
	if late && !containsAny(c.subject, givenUp) && !containsAny(c.phrases, givenUp) {
		return campaign.ClassDelayed
	}
	return campaign.ClassHard
}
