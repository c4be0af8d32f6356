package oauth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The mechanisms of SASL by which an access token logs in.
const (
	XOAUTH2     = "XOAUTH2"     // Google's, which Microsoft and Yahoo have too
	OAuthBearer = "OAUTHBEARER" // RFC 7628
)

// A Login is the client's side of one login with an access token: a message that has the
// token, and an answer to the document with which a server refuses it.
type Login struct {
	Mechanism string // XOAUTH2 or OAuthBearer
	User      string
	Host      string // of the server
	Port      int
	Token     string

	asked   bool
	refusal refusal
}

// Message returns the message that begins the login, which is all that a client has to
// say.
func (l *Login) Message() []byte {
	if l.Mechanism == OAuthBearer {
		return fmt.Appendf(nil, "n,a=%s,\x01host=%s\x01port=%d\x01auth=Bearer %s\x01\x01", saslName.Replace(l.User), l.Host, l.Port, l.Token)
	}
	return []byte("user=" + l.User + "\x01auth=Bearer " + l.Token + "\x01\x01")
}

// saslName writes a name as RFC 5801 section 4 wants it.
var saslName = strings.NewReplacer("=", "=3D", ",", "=2C")

// Refused takes the document of a refusal, which comes as a challenge, and returns the
// answer that brings the final reply: nothing, or for OAUTHBEARER a single 0x01 (RFC 7628
// 3.2.3). A second challenge is an error.
func (l *Login) Refused(document []byte) ([]byte, error) {
	if l.asked {
		return nil, errors.New("a second challenge")
	}
	l.asked = true
	l.refusal = readRefusal(document)
	if l.Mechanism == OAuthBearer {
		return []byte{1}, nil
	}
	return []byte{}, nil
}

// Refusal returns the document of the refusal in words; empty when there was none, or it
// says nothing.
func (l *Login) Refusal() string { return l.Hide(l.refusal.String()) }

// Hide takes the token out of a text of the server, which may repeat what it was sent.
func (l *Login) Hide(text string) string {
	text = hideSecret(text, l.Token)
	return hideSecret(text, base64.StdEncoding.EncodeToString(l.Message()))
}

// A refusal is the document with which a server refuses an access token: that of RFC 7628
// 3.2.2, which XOAUTH2 has too.
type refusal struct {
	status string // "401", or a word such as invalid_token; empty: none was given
	scope  string // that the token would need; may be empty
}

// maxRefusal is how much of a part of the document is shown, in bytes.
const maxRefusal = 100

// readRefusal understands a document as far as it can be read. Some servers write the
// status as a number.
func readRefusal(document []byte) refusal {
	var parts map[string]any
	if json.Unmarshal(document, &parts) != nil {
		return refusal{}
	}
	text := func(name string) string {
		switch v := parts[name].(type) {
		case string:
			return shown(v)
		case float64:
			return shown(strconv.FormatFloat(v, 'f', -1, 64))
		}
		return ""
	}
	return refusal{status: text("status"), scope: text("scope")}
}

// shown returns what can be shown of a text from outside.
func shown(text string) string {
	text = strings.TrimSpace(printable(text))
	if len(text) > maxRefusal {
		text = text[:maxRefusal] + "..."
	}
	return text
}

// String returns the document in words; empty when it says nothing.
func (r refusal) String() string {
	var parts []string
	if r.status != "" {
		parts = append(parts, "status "+r.status)
	}
	if r.scope != "" {
		parts = append(parts, "scope "+r.scope)
	}
	return strings.Join(parts, ", ")
}
