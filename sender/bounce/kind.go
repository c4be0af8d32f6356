package bounce

import (
	"slices"
	"strings"
)

// returnsMessage reports whether the message is a notice of a mail system that a
// message came back or is late, though it has no delivery-status part. One sign alone
// proves nothing: newsletters and people quote such notices, and vacation programs
// write from no address too.
func (c *contents) returnsMessage() bool {
	opens := containsAny(c.phrases[:min(len(c.phrases), maxOpening)], bounceOpenings)
	switch {
	case c.head.has("X-Failed-Recipients"):
		return true
	case c.head.has("List-Unsubscribe", "List-ID") && !c.fromMailer():
		return false
	case c.fromDaemon():
		return opens || c.namesReturn() || c.returned != nil || containsAny(c.phrases, bounceOpenings) || hasReply(c.text)
	case c.fromNobody():
		return opens || c.namesReturn()
	}
	return opens && c.namesReturn()
}

// maxOpening is within how many bytes of its text a notice says what it is.
const maxOpening = 1000

// namesReturn reports whether the subject is one of a message that came back.
func (c *contents) namesReturn() bool {
	return containsAny(c.subject, bounceSubjects) && !answers(c.subject)
}

// fromMailer reports whether the message has the sender that only mail systems have.
func (c *contents) fromMailer() bool {
	from := strings.ToLower(strings.Join(c.head.all("From"), " "))
	return strings.Contains(from, "mailer-daemon") || strings.Contains(from, "postmaster@")
}

// fromNobody reports whether the message has no address to which it can come back.
func (c *contents) fromNobody() bool {
	return slices.Contains(c.head.all("Return-Path"), "<>") || slices.ContainsFunc(c.head.all("From"), func(from string) bool { return strings.HasSuffix(from, "<>") })
}

// certain reports whether the message comes from a mail system beyond doubt, though it
// may call itself an automatic reply, as Exim's do.
func (c *contents) certain() bool {
	return c.head.has("X-Failed-Recipients") || strings.Contains(c.head.get("Auto-Submitted"), "(rejected)") || c.fromDaemon() && c.namesReturn()
}

// answers reports whether a subject is one of a person who answers or forwards.
func answers(subject string) bool {
	for _, prefix := range []string{"re:", "fwd:", "fw:", "aw:", "wg:", "tr:", "rv:", "sv:"} {
		if strings.HasPrefix(subject, prefix) {
			return true
		}
	}
	return false
}

// automatic returns what kind of automatic reply the message is; empty when it is none.
func (c *contents) automatic() string {
	begin := c.phrases[:min(len(c.phrases), maxOpening)]
	auto := strings.ToLower(c.head.get("Auto-Submitted"))
	from := plain(strings.Join(c.head.all("From", "Sender"), " "))
	switch {
	case c.receipt:
		return "read receipt"
	case containsAny(begin, challenges), containsAny(from, challenges):
		return "challenge"
	case strings.HasPrefix(auto, "auto-replied"), strings.HasPrefix(auto, "auto-generated"), auto == "auto-notified",
		c.head.has("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply", "X-Vacation", "X-Auto-Response-From"),
		strings.Contains(strings.ToLower(c.head.get("Precedence")), "auto"),
		containsAny(c.subject, autoSubjects), c.head.has("X-Auto-Response-Suppress") && containsAny(begin, autoTexts),
		containsAny(begin, autoTexts) && c.head.has("In-Reply-To", "References"),
		containsAny(begin, autoTexts) && answers(c.subject):
		return "automatic reply"
	}
	return ""
}
