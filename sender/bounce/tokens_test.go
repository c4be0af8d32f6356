package bounce

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"broadside/campaign/token"
)

func keys(t *testing.T) *token.Keys {
	t.Helper()
	k, err := token.NewKeys([]string{strings.Repeat("secret", 8)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTokensOfTheReturnPath(t *testing.T) {
	t.Parallel()
	tok := keys(t).Message("october", 3, 7)
	path := token.Prefix + tok + "@bounce.example.org"
	for name, header := range map[string]string{
		"To":            "To: <" + path + ">",
		"upper case":    "To: " + strings.ToUpper(path),
		"a name":        "To: \"News\" <" + path + ">",
		"folded":        "To: News\n <" + path + ">",
		"Delivered-To":  "To: news@example.org\nDelivered-To: " + path,
		"X-Original-To": "To: news@example.org\nX-Original-To: " + path,
		"Envelope-To":   "To: news@example.org\nEnvelope-To: " + path,
		"SRS":           "To: SRS0=Ab3x=5C=bounce.example.org=" + token.Prefix + tok + "@relay.example.com",
		"BATV":          "To: prvs=0123abcdef=" + path,
	} {
		n := only(t, message("From: MAILER-DAEMON@example.com\n"+header, unknownAnn))
		if len(n.Returned) != 1 || !strings.EqualFold(n.Returned[0], tok) {
			t.Errorf("%s: found %q", name, n.Returned)
			continue
		}
		if m, err := keys(t).ParseMessage(n.Returned[0]); err != nil || m.Part != 3 || m.Index != 7 {
			t.Errorf("%s: found %v, %v", name, m, err)
		}
	}

	notices, err := Decode(bytes.NewReader(message(daemonHeader, unknownAnn)), path)
	if err != nil || len(notices) != 1 || !slices.Equal(notices[0].Returned, []string{tok}) {
		t.Errorf("an envelope recipient: found %v, %v", notices, err)
	}
}

// TestWhatIsNoReturnedToken: a token in any other place is one that somebody quotes.
func TestWhatIsNoReturnedToken(t *testing.T) {
	t.Parallel()
	tok := keys(t).Message("october", 3, 7)
	path := token.Prefix + tok + "@bounce.example.org"
	for name, text := range map[string][]byte{
		"From":         message("From: MAILER-DAEMON@example.com\nReply-To: "+path, unknownAnn),
		"the text":     message(daemonHeader, unknownAnn+"\n"+path),
		"without b-":   message("From: MAILER-DAEMON@example.com\nTo: "+tok+"@example.org", unknownAnn),
		"in a word":    message("From: MAILER-DAEMON@example.com\nTo: x"+path, unknownAnn),
		"too long":     message("From: MAILER-DAEMON@example.com\nTo: "+token.Prefix+tok+"x@example.org", unknownAnn),
		"the returned": message(daemonHeader, unknownAnn+"\n\n--- Original message follows.\n\nTo: "+path),
	} {
		if n := only(t, text); n.Returned != nil {
			t.Errorf("%s: found %q", name, n.Returned)
		}
	}
}

func TestQuotedTokens(t *testing.T) {
	t.Parallel()
	tok := keys(t).Message("october", 3, 7)
	for name, returned := range map[string]string{
		"Message-ID":          "Message-ID: <" + tok + "@example.org>",
		"folded":              "Message-ID:\n <" + tok + "@example.org>",
		"Return-Path":         "Return-Path: <b-" + tok + "@bounce.example.org>",
		"X-PM-Metadata":       "X-PM-Metadata-token: " + tok,
		"X-Mailgun-Variables": `X-Mailgun-Variables: {"token": "` + tok + `"}`,
		"X-SMTPAPI":           `X-SMTPAPI: {"unique_args":{"token":"` + tok + `"}}`,
		"X-SES-MESSAGE-TAGS":  "X-SES-MESSAGE-TAGS: token=" + tok,
		"an encoded word":     "X-Mailgun-Variables: =?utf-8?q?{\"token\":_\"" + tok + "\"}?=",
	} {
		inline := unknownAnn + "\n\n--- Below this line is a copy of the message.\n\nFrom: news@example.org\n" + returned + "\n\nHello"
		part := func(kind string) []byte {
			return message(reportHeader, "--b1\n\n"+unknownAnn+"\n\n--b1\nContent-Type: "+kind+"\n\nFrom: news@example.org\n"+returned+"\n\n--b1--")
		}
		for form, text := range map[string][]byte{
			"inline": message(daemonHeader, inline), "message/rfc822": part("message/rfc822"),
			"text/rfc822-headers": part("text/rfc822-headers"), "message/global-headers": part("message/global-headers"),
		} {
			if n := only(t, text); !slices.Equal(n.Quoted, []string{tok}) {
				t.Errorf("%s, %s: found %q", name, form, n.Quoted)
			}
		}
	}

	reply := message("From: ann@example.net\nIn-Reply-To: <"+tok+"@example.org>", "Thank you")
	if n := only(t, reply); !slices.Equal(n.Quoted, []string{tok}) {
		t.Errorf("In-Reply-To: found %q", n.Quoted)
	}
	if n := only(t, arf("Feedback-Type: abuse\nOriginal-Mail-From: <b-"+tok+"@bounce.example.org>", "To: x\n\n")); !slices.Equal(n.Quoted, []string{tok}) {
		t.Errorf("Original-Mail-From: found %q", n.Quoted)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	sealed := keys(t).Seal(token.Unsubscribe{Topic: "newsletter", Run: "october", Address: "ann@example.net"})
	link := "https://news.example.org" + token.Path + sealed
	soft := link[:60] + "=\n" + link[60:]
	for name, returned := range map[string]string{
		"List-Unsubscribe": "List-Unsubscribe: <" + link + ">\nFrom: news@example.org\n\nHello",
		"the text":         "From: news@example.org\n\nUnsubscribe: " + link + "\n",
		"HTML":             "From: news@example.org\nContent-Type: text/html\n\n<a href=\"" + link + "\">Unsubscribe</a>",
		"quoted-printable": "From: news@example.org\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<a href=3D\"" + soft + "\">Unsubscribe</a>",
	} {
		n := only(t, message(reportHeader, "--b1\n\n"+unknownAnn+"\n\n--b1\nContent-Type: message/rfc822\n\n"+returned+"\n\n--b1--"))
		if !slices.Equal(n.Links, []string{sealed}) {
			t.Errorf("%s: found %q", name, n.Links)
			continue
		}
		if u, err := keys(t).Open(n.Links[0]); err != nil || u.Address != "ann@example.net" {
			t.Errorf("%s: found %v, %v", name, u, err)
		}
	}
}

// TestTokensAreNotWithoutEnd: a message full of them gives as many as are looked up.
func TestTokensAreNotWithoutEnd(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "References: <%s@example.org>\n", keys(t).Message("october", 1, i))
	}
	if n := only(t, message(daemonHeader+"\n"+strings.TrimSpace(b.String()), unknownAnn)); len(n.Quoted) != maxTokens {
		t.Errorf("found %d", len(n.Quoted))
	}
}

func TestIDsStayTheSame(t *testing.T) {
	t.Parallel()
	first := only(t, message(daemonHeader+"\nMessage-ID: <1@example.com>", unknownAnn))
	if first.ID != "<1@example.com> ann@example.net" {
		t.Errorf("found %q", first.ID)
	}
	without := message(daemonHeader, unknownAnn)
	other := message(daemonHeader, unknownAnn+"!")
	if a, b, c := only(t, without).ID, only(t, without).ID, only(t, other).ID; a != b || a == c || a == "" {
		t.Errorf("found %q, %q, and %q for another message", a, b, c)
	}
}
