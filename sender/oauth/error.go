package oauth

import (
	"fmt"
	"net/http"
	"strings"
)

// An Error says why there is no access token. It holds no secret.
type Error struct {
	Host string // of the token endpoint
	Code string // of RFC 6749 5.2, such as invalid_grant; empty when the endpoint gave none

	what string
	fix  string
	temp bool
	err  error
}

// Error says what was asked and what came back.
func (e *Error) Error() string {
	return fmt.Sprintf("no access token from %s: %s", e.Host, e.what)
}

// Unwrap returns the cause; nil when the endpoint answered.
func (e *Error) Unwrap() error { return e.err }

// Hint says what to do.
func (e *Error) Hint() string { return e.fix }

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool { return e.temp }

const laterFix = "it is tried again by itself; if it stays so, check that this machine reaches the token endpoint by https"

// unreachable is the Error of a request that got no answer.
func (s Source) unreachable(err error) *Error {
	return &Error{Host: s.host(), what: s.hide(err.Error()), fix: laterFix, temp: true, err: err}
}

// unreadable is the Error of an answer that is none of RFC 6749 5.1.
func (s Source) unreadable(why string) *Error {
	return &Error{
		Host: s.host(), what: "the answer is no token: " + s.hide(why),
		fix: "check oauth2.token_url: it has to be the token endpoint of the provider", temp: false,
	}
}

// refused is the Error of an answer that is not 200.
func (s Source) refused(status int, code, description string) *Error {
	e := &Error{Host: s.host(), Code: s.hide(code), what: fmt.Sprintf("status %d", status)}
	if code != "" {
		e.what += ", " + e.Code
	}
	if line := strings.TrimSpace(s.hide(firstLine(description))); line != "" {
		e.what += ": " + line
	}

	e.temp = status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	e.fix = fixes[code]
	switch {
	case e.temp:
		e.fix = laterFix
	case e.fix == "":
		e.fix = "check oauth2.token_url, client_id and client_secret"
	}
	return e
}

// fixes says what to do about the errors of RFC 6749 5.2.
var fixes = map[string]string{
	"invalid_grant":          "the refresh token has expired or was withdrawn: grant access again as the mailbox, set oauth2.refresh_token to the new refresh token and restart Broadside",
	"invalid_client":         "the provider does not know the application or its secret: check oauth2.client_id and client_secret; a client secret can have expired",
	"unauthorized_client":    "the application may not use a refresh token: check oauth2.client_id, and the application's permissions at the provider",
	"invalid_scope":          "the grant does not cover this login: grant access again with the scope https://mail.google.com/ (Gmail) or offline_access and, below https://outlook.office.com/, SMTP.Send to send, IMAP.AccessAsUser.All or POP.AccessAsUser.All to read (Microsoft 365)",
	"unsupported_grant_type": "check oauth2.token_url: this endpoint gives no access tokens for refresh tokens",
	"invalid_request":        "check oauth2.token_url, client_id and client_secret: the endpoint misses something, perhaps the secret",
}

// maxText is how much of what an endpoint says is shown, in bytes.
const maxText = 300

// hide returns a text from outside for people: without the secrets of the source, in
// printable ASCII (RFC 6749 5.2 allows nothing else), and not longer than maxText.
func (s Source) hide(text string) string {
	for _, secret := range []string{s.RefreshToken, s.ClientSecret} {
		text = hideSecret(text, secret)
	}
	text = printable(text)
	if len(text) > maxText {
		text = text[:maxText]
	}
	return text
}

// printable puts a question mark in place of everything that is not printable ASCII.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// hideSecret removes a secret, and any long piece of it: endpoints quote what they got,
// and cut it.
func hideSecret(text, secret string) string {
	const redacted, shortest = "[redacted]", 12
	if secret == "" {
		return text
	}
	text = strings.ReplaceAll(text, secret, redacted)
	if len(secret) < shortest {
		return text
	}
	for i := 0; i+shortest <= len(text); i++ {
		end := i + shortest
		if !strings.Contains(secret, text[i:end]) {
			continue
		}
		for end < len(text) && strings.Contains(secret, text[i:end+1]) {
			end++
		}
		text = text[:i] + redacted + text[end:]
		i += len(redacted) - 1
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
