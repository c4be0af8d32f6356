package message

import (
	"fmt"
	"mime"
	"net/mail"
	"strings"

	"broadside/campaign"
)

// A Spec is what all messages of a run have in common.
type Spec struct {
	From    string // RFC 5322 mailbox: Name <address>, or an address alone
	ReplyTo string // the same; empty: no Reply-To
	// ListName and ListID make the List-Id (RFC 2919): Name <label.domain>.
	// The ID is without angle brackets and never changes while the list lives.
	ListName, ListID string
	// FeedbackID is up to four fields with colons between them, the last one
	// the sender's stable id (support.google.com/mail/answer/6254652). Empty:
	// no header.
	FeedbackID string
	// TokenHeader names a header with the local part of the Message-ID: some relays give a
	// message an id of their own. Empty: no header.
	TokenHeader string
	Headers     []Header // further headers, the same in every message
	// Single makes messages that answer something that one person did, and belong to no
	// list: they have Auto-Submitted (RFC 3834) in place of List-Id, List-Unsubscribe and
	// Precedence, and a Part needs no Unsubscribe.
	Single bool
}

// A Header is one further header field.
type Header struct{ Name, Value string }

// FromSnapshot returns the Spec of a run: the topic is the list, under the
// domain of the From address. Single messages have no list.
func FromSnapshot(s campaign.Snapshot) (Spec, error) {
	from, err := parseMailbox("from", s.From)
	if err != nil {
		return Spec{}, err
	}

	domain := strings.ToLower(from.Address[strings.LastIndexByte(from.Address, '@')+1:])
	if s.Single {
		return Spec{From: s.From, ReplyTo: s.ReplyTo, TokenHeader: s.TokenHeader, Single: true}, nil
	}
	return Spec{
		From:        s.From,
		ReplyTo:     s.ReplyTo,
		ListName:    s.TopicName,
		ListID:      s.Topic + "." + domain,
		FeedbackID:  strings.Join([]string{field(s.Campaign), field(s.Topic), "broadside", senderID(domain)}, ":"),
		TokenHeader: s.TokenHeader,
	}, nil
}

// field makes a value fit between the colons of a Feedback-ID.
func field(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ':' || r == ' ' {
			return '-'
		}
		return r
	}, s)
}

// senderID is the last field of a Feedback-ID: 5 to 15 characters that stay
// the same for as long as the domain does.
func senderID(domain string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, domain)
	if len(id) > 15 {
		return id[:15]
	}

	return id + "-----"[:max(0, 5-len(id))]
}

// reserved are the headers that a Spec's own may not repeat: those that this
// package writes, and those that belong to the transport.
var reserved = map[string]bool{
	"date": true, "from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "bcc": true, "subject": true,
	"message-id": true, "mime-version": true, "content-type": true, "content-transfer-encoding": true,
	"list-id": true, "list-unsubscribe": true, "list-unsubscribe-post": true, "feedback-id": true, "precedence": true, "auto-submitted": true,
	"return-path": true, "received": true, "dkim-signature": true,
}

// check reports the first value that cannot stand in a header.
func (s Spec) check() error {
	for _, v := range []struct{ name, value string }{
		{"From", s.From}, {"Reply-To", s.ReplyTo}, {"List-Id name", s.ListName}, {"List-Id", s.ListID}, {"Feedback-ID", s.FeedbackID},
	} {
		if err := checkValue(v.name, v.value); err != nil {
			return err
		}
	}

	if !s.Single && (s.ListID == "" || !isToken(s.ListID) || !strings.Contains(s.ListID, ".")) {
		return fmt.Errorf("list id %q: expected label.domain in ASCII, without blanks or brackets", s.ListID)
	}
	if s.FeedbackID != "" && (!isToken(s.FeedbackID) || strings.Count(s.FeedbackID, ":") > 3) {
		return fmt.Errorf("feedback id %q: expected at most four fields with colons between them, in ASCII", s.FeedbackID)
	}

	if s.TokenHeader != "" && (!isToken(s.TokenHeader) || strings.Contains(s.TokenHeader, ":")) {
		return fmt.Errorf("header name %q: expected printable ASCII without a colon", s.TokenHeader)
	}

	seen := map[string]bool{}
	for _, h := range s.Headers {
		if h.Name == "" || !isToken(h.Name) || strings.Contains(h.Name, ":") {
			return fmt.Errorf("header name %q: expected printable ASCII without a colon", h.Name)
		}
		if reserved[strings.ToLower(h.Name)] {
			return fmt.Errorf("header %s: it is written by Broadside and cannot be given", h.Name)
		}
		if seen[strings.ToLower(h.Name)] {
			return fmt.Errorf("header %s: given twice", h.Name)
		}
		seen[strings.ToLower(h.Name)] = true
		if err := checkValue(h.Name, h.Value); err != nil {
			return err
		}
	}

	return nil
}

// parseMailbox reads one mailbox, with its name or without.
func parseMailbox(what, s string) (*mail.Address, error) {
	if err := checkValue(what, s); err != nil {
		return nil, err
	}

	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("%s %q: expected Name <address> or an address: %w", what, s, err)
	}

	if !ascii(a.Address) {
		return nil, fmt.Errorf("%s %q: the address is not ASCII: write its domain as an A-label (xn--...)", what, s)
	}

	return a, nil
}

// phrase writes a display name as RFC 5322 wants it: bare, quoted, or as
// encoded words.
func phrase(s string) string {
	if s == "" || !ascii(s) || strings.Contains(s, "=?") {
		return mime.QEncoding.Encode("utf-8", s)
	}
	for _, r := range s {
		if !strings.ContainsRune(atext+" ", r) {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		}
	}
	return s
}

// atext are the characters of an RFC 5322 atom.
const atext = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"
