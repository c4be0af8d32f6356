package smtppool

import (
	"encoding/base64"
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

// secrets is what the server was told in a login, as it may say it back.
type secrets []string

func secretsOf(password string) secrets {
	return secrets{password, base64.StdEncoding.EncodeToString([]byte(password))}
}

// hide takes out of a text what was told: servers quote commands in their
// refusals, in capitals or cut short.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		if len(secret) >= shortest {
			text = replaceFold(text, secret)
		}
	}
	var b strings.Builder
	for text != "" {
		n := strings.IndexFunc(text, base64Rune)
		if n < 0 {
			n = len(text)
		}
		b.WriteString(text[:n])
		text = text[n:]
		end := strings.IndexFunc(text, func(r rune) bool { return !base64Rune(r) })
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		if s.hold(word) {
			word = hidden
		}
		b.WriteString(word)
		text = text[end:]
	}
	return b.String()
}

// hold reports whether a word is a short secret, or a piece of a long one.
func (s secrets) hold(word string) bool {
	for _, secret := range s {
		if word != "" && word == secret || len(word) >= shortestRun && strings.Contains(strings.ToLower(secret), strings.ToLower(word)) {
			return true
		}
	}
	return false
}

func base64Rune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '+' || r == '/' || r == '='
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
