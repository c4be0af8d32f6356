package bounce

import (
	"regexp"
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/campaign/token"
)

const (
	// maxTokens is how many tokens of each kind are taken from a message.
	maxTokens = 20
	// maxReturned is how much of the text of a returned message is searched for links.
	maxReturned = 256 << 10
	// minToken and maxToken are the shortest token, and the longest token of a link, in
	// characters, as package token has them.
	minToken = 40
	maxToken = 2048
)

var (
	// messageToken finds what may be a message token. Mail systems put other things
	// around a local part (SRS, BATV), but nothing that is a letter or a digit.
	messageToken = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])([a-z2-7]{40})(?:[^a-z0-9]|$)`)

	// returnPathToken is messageToken in a return path, with token.Prefix.
	returnPathToken = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])` + token.Prefix + `([a-z2-7]{40})(?:[^a-z0-9]|$)`)

	// linkToken finds what may be a sealed token behind token.Path.
	linkToken = regexp.MustCompile(token.Path + `([A-Za-z0-9_-]{40,})`)
)

// takeTokens fills in what of the message may be our tokens. envelope are the
// addresses that the message was delivered to.
func (c *contents) takeTokens(n *campaign.Notice, envelope []string) {
	for _, value := range slices.Concat(envelope, c.head.all(destinations...)) {
		n.Returned = addTokens(n.Returned, returnPathToken, value)
	}

	quoted := c.head.all("In-Reply-To", "References", "X-Failed-Recipients")
	for _, e := range c.status {
		quoted = append(quoted, string(e.decoded(maxText)))
	}
	if c.feedback != nil {
		quoted = append(quoted, string(c.feedback.decoded(maxText)))
	}
	for _, e := range c.returned {
		for _, f := range e.header {
			quoted = append(quoted, decodeWords(f.value))
		}
	}
	for _, value := range append(quoted, c.texts...) {
		n.Quoted = addTokens(n.Quoted, messageToken, value)
		n.Links = addTokens(n.Links, linkToken, value)
	}

	for _, e := range c.returned {
		for _, text := range bodies(e) {
			n.Links = addTokens(n.Links, linkToken, text)
		}
	}
}

// bodies returns the texts of a returned message, as source: a link of HTML is in it.
func bodies(e *entity) []string {
	if strings.HasPrefix(e.kind, "text/") {
		return []string{string(e.decoded(maxReturned))}
	}
	var all []string
	for _, part := range e.parts {
		all = append(all, bodies(part)...)
	}
	return all
}

// addTokens adds those of a text to the others.
func addTokens(all []string, form *regexp.Regexp, text string) []string {
	for len(all) < maxTokens && len(text) >= minToken {
		found := form.FindStringSubmatchIndex(text)
		if found == nil {
			break
		}
		if one := text[found[2]:found[3]]; len(one) <= maxToken && !slices.Contains(all, one) {
			all = append(all, one)
		}
		text = text[found[3]:]
	}
	return all
}
