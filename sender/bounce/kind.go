package bounce

import "strings"

// returnsMessage reports whether the message is a notice of a mail system that a
// message came back or is late, though it has no delivery-status part. One sign alone
// proves nothing: newsletters and people quote such notices.
func (c *contents) returnsMessage() bool {
	subject := containsAny(c.subject, bounceSubjects) && !answers(c.subject)
	switch {
	case c.head.has("X-Failed-Recipients"):
		return true
	case c.fromDaemon():
		return subject || containsAny(c.phrases, bounceOpenings) || c.returned != nil || hasReply(c.text)
	case c.head.has("List-Unsubscribe", "List-ID"):
		return false
	}
	return subject && containsAny(c.phrases[:min(len(c.phrases), maxOpening)], bounceOpenings)
}

// maxOpening is within how many bytes of its text a notice says what it is.
const maxOpening = 1000

// certain reports whether the message comes from a mail system beyond doubt, though it
// may call itself an automatic reply, as Exim's do.
func (c *contents) certain() bool {
	return c.head.has("X-Failed-Recipients") || strings.Contains(c.head.get("Auto-Submitted"), "(rejected)") || c.fromDaemon() && containsAny(c.subject, bounceSubjects)
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
