package testkit

import (
	"strings"
	"time"
)

// An Oddity is a way in which a server breaks the rules.
type Oddity struct {
	Name   string
	Always bool // with every message, not only with some

	// answer returns what is said at a stage (mail, rcpt, data, body: the first
	// line of the message is here, dot, rset) in place of the reply that is due;
	// strange: it is another one.
	answer func(d *oddTalk, stage, due string) (said string, strange bool)
}

// Oddities lists what an OddServer can do.
var Oddities = []Oddity{
	{Name: "early-refusal", answer: at("body", func(*oddTalk, string) string { return "550 5.1.1 no such user\r\n" })},
	{Name: "refusal-behind-354", answer: at("data", func(_ *oddTalk, due string) string { return due + "\r\n550 5.1.1 no such user\r\n" })},
	{Name: "early-acceptance", Always: true, answer: earlyAcceptance},
	{Name: "late-refusal", answer: at("dot", func(d *oddTalk, due string) string { return d.later(due, "550 5.1.1 <else@example.org> unknown") })},
	{Name: "late-acceptance", answer: at("dot", func(d *oddTalk, due string) string { return d.later(due, "250 2.0.0 queued") })},
	{Name: "double-reply", answer: at("dot", func(_ *oddTalk, due string) string { return due + "\r\n" + due + "\r\n" })},
	{Name: "acceptance-and-refusal", answer: at("dot", func(_ *oddTalk, due string) string { return due + "\r\n554 5.7.1 and yet not\r\n" })},
	{Name: "no-reply-to-dot", answer: at("dot", silence)},
	{Name: "no-reply-to-refused-dot", Always: true, answer: noReplyToRefusal},
	{Name: "no-reply-to-mail", answer: at("mail", silence)},
	{Name: "no-reply-to-rcpt", answer: at("rcpt", silence)},
	{Name: "no-reply-to-data", answer: at("data", silence)},
	{Name: "one-byte-at-a-time", Always: true, answer: slowly},
	{Name: "mixed-codes", answer: at("dot", func(*oddTalk, string) string { return "250-2.0.0 queued\r\n550 5.1.1 no such user\r\n" })},
	{Name: "bare-codes", Always: true, answer: func(_ *oddTalk, _, due string) (string, bool) {
		code, _, _ := strings.Cut(due, " ")
		return code + "\r\n", due != ""
	}},
	{Name: "garbage-at-mail", answer: at("mail", func(_ *oddTalk, due string) string { return "<html>Bad Gateway</html>\r\n" + due + "\r\n" })},
	{Name: "garbage-at-dot", answer: at("dot", func(_ *oddTalk, due string) string { return "what was that?\r\n" + due + "\r\n" })},
	{Name: "binary-at-rcpt", answer: at("rcpt", func(*oddTalk, string) string { return "\x00\xff\x16\x03\x01\x1b[31m\r\n" })},
	{Name: "huge-reply", answer: at("dot", func(*oddTalk, string) string { return "250 " + strings.Repeat("x", 1<<20) + "\r\n" })},
	{Name: "354-twice", answer: at("data", func(_ *oddTalk, due string) string { return due + "\r\n" + due + "\r\n" })},
	{Name: "354-to-dot", answer: at("dot", func(*oddTalk, string) string { return "354 go ahead\r\n" })},
	{Name: "no-rset", Always: true, answer: at("rset", func(*oddTalk, string) string { return "500 5.5.2 what\r\n" })},
	{Name: "221-at-mail", answer: at("mail", ends("221 2.0.0 bye\r\n"))},
	{Name: "221-at-dot", answer: at("dot", ends("221 2.0.0 bye\r\n"))},
	{Name: "closed-after-354", answer: at("data", ends("354 go ahead\r\n"))},
	{Name: "closed-after-dot", answer: at("dot", ends(""))},
	{Name: "refusal-of-data-and-354", answer: at("data", func(_ *oddTalk, due string) string { return "554 5.7.1 no\r\n" + due + "\r\n" })},
	{Name: "refusal-of-rcpt-and-250", answer: at("rcpt", func(_ *oddTalk, due string) string { return "550 5.1.1 no such user\r\n" + due + "\r\n" })},
	{Name: "refusal-of-mail-and-250", answer: at("mail", func(_ *oddTalk, due string) string { return "550 5.7.1 no\r\n" + due + "\r\n" })},
}

// at is an oddity of one stage.
func at(where string, said func(d *oddTalk, due string) string) func(*oddTalk, string, string) (string, bool) {
	return func(d *oddTalk, stage, due string) (string, bool) {
		if stage != where {
			return "", false
		}
		return said(d, due), true
	}
}

func silence(*oddTalk, string) string { return "" }

// ends says something and closes the connection.
func ends(said string) func(*oddTalk, string) string {
	return func(d *oddTalk, _ string) string {
		d.ended = true
		return said
	}
}

// later says one reply now and another some time after.
func (d *oddTalk) later(due, more string) string {
	d.late.Go(func() {
		<-time.After(oddLate)
		d.say(more + "\r\n")
		d.flush()
	})
	return due + "\r\n"
}

// earlyAcceptance accepts, before it has them, the messages that it refuses.
func earlyAcceptance(d *oddTalk, stage, _ string) (string, bool) {
	if stage != "body" {
		return "", false
	}
	_, refusal := d.s.refuse(d.to)
	return "250 2.0.0 queued\r\n", refusal != ""
}

// noReplyToRefusal refuses messages in silence.
func noReplyToRefusal(_ *oddTalk, stage, due string) (string, bool) {
	return "", stage == "dot" && due[0] == '5'
}

// slowly lets every byte of a reply leave by itself.
func slowly(d *oddTalk, _, due string) (string, bool) {
	if due == "" {
		return "", false
	}
	d.flush()
	for _, b := range []byte(due + "\r\n") {
		d.say(string(b))
		d.flush()
	}
	return "", true
}
