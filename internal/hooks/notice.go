package hooks

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/campaign/token"
)

// Limits of what is kept of an event, in bytes.
const (
	maxID    = 250
	maxReply = 1000
)

// complete fills in what the notices of one request have in common.
func complete(notices []campaign.Notice, name string) {
	for i := range notices {
		n := &notices[i]
		n.Source = "hook:" + name
		n.Signed = true
		n.Reply = oneLine(n.Reply)
		if n.ID != "" {
			n.ID = name + ":" + shortID(n.ID)
		}
	}
}

// shortID returns an ID that is too long as its hash: cut, it might be that of others.
func shortID(id string) string {
	if len(id) <= maxID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReply {
		text = text[:maxReply]
	}
	return strings.ToValidUTF8(text, "")
}

// diagnostic returns what the server said, out of a Diagnostic-Code field such as
// "smtp; 550 5.1.1 unknown" (RFC 3464, section 2.3.6).
func diagnostic(code string) string {
	if kind, text, ok := strings.Cut(code, ";"); ok && strings.EqualFold(strings.TrimSpace(kind), "smtp") {
		return strings.TrimSpace(text)
	}
	return code
}

// tokens returns what may be message tokens in the Message-IDs and metadata of an
// event, each once. A Message-ID of ours is <TOKEN@domain>.
func tokens(texts ...string) []string {
	var found []string
	for _, text := range texts {
		text, _, _ = strings.Cut(text, "@")
		text = strings.ToLower(strings.Trim(text, " \t\r\n<>\"'"))
		text = strings.TrimPrefix(text, token.Prefix)
		if isToken(text) && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return found
}

// isToken reports whether text has the form of a token.Keys.Message.
func isToken(text string) bool {
	const length = 40
	return len(text) == length && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '2' || r > '7')
	})
}
