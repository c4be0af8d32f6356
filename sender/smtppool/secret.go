package smtppool

import (
	"encoding/base64"
	"regexp"
	"strings"
)

const (
	hidden = "[redacted]"
	// shortest is how long a piece of the login must be to be found inside a word:
	// shorter ones are in words by chance.
	shortest = 4
	// shortestRun is how long a run of base64 must be to be a piece of what was sent.
	shortestRun = 8
)

var base64Run = regexp.MustCompile(`[A-Za-z0-9+/=]+`)

// secrets is what we sent in a login, in the forms in which the server may repeat it.
type secrets []string

func secretsOf(password string) secrets {
	return secrets{password, base64.StdEncoding.EncodeToString([]byte(password))}
}

// hide removes the secrets from a text: servers quote commands in their
// refusals, in capitals or cut short.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		if len(secret) >= shortest {
			text = replaceFold(text, secret)
		}
	}

	return base64Run.ReplaceAllStringFunc(text, func(word string) string {
		if s.hold(word) {
			return hidden
		}
		return word
	})
}

// hold reports whether a word is a short secret, or a piece of a long one.
func (s secrets) hold(word string) bool {
	for _, secret := range s {
		if word == secret || len(word) >= shortestRun && strings.Contains(strings.ToLower(secret), strings.ToLower(word)) {
			return true
		}
	}
	return false
}

// replaceFold replaces a secret in any case.
func replaceFold(text, secret string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if len(text)-i >= len(secret) && strings.EqualFold(text[i:i+len(secret)], secret) {
			b.WriteString(hidden)
			i += len(secret)
			continue
		}
		b.WriteByte(text[i])
		i++
	}

	return b.String()
}
