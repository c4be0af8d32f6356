package reply

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"broadside/campaign"
)

// A Stage is a place in the SMTP dialogue.
type Stage string

// The stages, in their order. What concerns the recipient's domain rather
// than a connection (DNS events) is reported at Rcpt.
const (
	Connect Stage = "connect" // until the greeting, implicit TLS included
	Ehlo    Stage = "ehlo"    // EHLO and STARTTLS
	Auth    Stage = "auth"
	Mail    Stage = "mail" // MAIL FROM, and the RSET before it
	Rcpt    Stage = "rcpt"
	Data    Stage = "data" // the DATA command, and the body until its last byte
	Dot     Stage = "dot"  // the reply after the final dot
)

// Stages lists the stages in their order.
var Stages = []Stage{Connect, Ehlo, Auth, Mail, Rcpt, Data, Dot}

// Events: what happened instead of a reply. The local ones are refusals of
// our own, made before a command was sent; a Reply with one of them may carry
// the code that says the same, but no server said it.
const (
	DialTimeout   = "dial_timeout"
	ConnRefused   = "conn_refused"
	Unreachable   = "unreachable"    // no route to the host or network
	HostLookup    = "host_lookup"    // the relay's own name has no address, or DNS did not answer
	ConnReset     = "conn_reset"     // reset, broken pipe, TLS torn
	EOF           = "eof"            // closed by the server
	IdleClosed    = "idle_closed"    // a connection that had worked was found closed at its next MAIL
	ReadTimeout   = "read_timeout"   // no reply in the stage's time
	WriteTimeout  = "write_timeout"  // the server stopped reading
	BadReply      = "bad_reply"      // no SMTP reply, too long, or not one that can follow here
	Cancelled     = "cancelled"      // our own context ended
	TLSHandshake  = "tls_handshake"  // no common protocol, alert, not TLS at all, injected plaintext
	TLSCert       = "tls_cert"       // the certificate does not verify
	TLSMissing    = "tls_missing"    // STARTTLS is required and not offered
	Setup         = "setup"          // the account cannot work as configured: no such mechanism, plaintext refused
	NullMX        = "null_mx"        // the domain takes no mail, RFC 7505
	DNSNXDomain   = "dns_nxdomain"   // the recipient's domain does not exist
	DNSServfail   = "dns_servfail"   // MX lookup failed for now
	LocalSMTPUTF8 = "local_smtputf8" // local: the address needs SMTPUTF8, the server has none (5.6.7)
	LocalSize     = "local_size"     // local: larger than the server's SIZE (5.3.4)
	LocalAddress  = "local_address"  // local: the address cannot stand in a command (5.1.3)
	LocalMessage  = "local_message"  // local: the message has a bare CR or LF (5.6.0)
)

var events = []string{
	DialTimeout, ConnRefused, Unreachable, HostLookup, ConnReset, EOF, IdleClosed, ReadTimeout, WriteTimeout, BadReply, Cancelled,
	TLSHandshake, TLSCert, TLSMissing, Setup, NullMX, DNSNXDomain, DNSServfail, LocalSMTPUTF8, LocalSize, LocalAddress, LocalMessage,
}

// MaxText is the longest Text of a Reply, in bytes: what is stored and shown.
const MaxText = 512

// MaxRead is how much of a reply is classified, in bytes: as much as a server
// may send at once.
const MaxRead = 64 << 10

// A Reply is one answer of a server, or the event that came instead.
type Reply struct {
	Stage    Stage
	Code     int    // 250, 421, 550, ...; 0 when no reply came
	Enhanced string // "5.1.1"; empty if there was none (RFC 3463)
	Text     string // lines joined by a blank, codes removed, printable, at most MaxText bytes
	Rest     string // what follows Text in a longer reply; read by Classify only
	Event    string // one of the events; empty for a reply read off the wire
	Direct   bool   // the server is the recipient's MX, not a relay of ours

	Provider campaign.Provider // the mailbox provider of the recipient; empty: unknown
	Relay    string            // the relay that said it, one of Relays; empty: unknown
}

// New returns the reply that the server gave at a stage. The text is the
// reply without its codes, lines joined by a blank.
func New(stage Stage, code int, text string) Reply {
	whole := clean(text, MaxRead)
	r := Reply{Stage: stage, Code: code, Enhanced: enhanced(whole)}
	r.Text, r.Rest = split(whole)
	return r
}

// split returns what of a reply is stored, and the rest of it.
func split(whole string) (text, rest string) {
	if len(whole) <= MaxText {
		return whole, ""
	}
	end := MaxText
	for !utf8.RuneStart(whole[end]) {
		end--
	}
	text = strings.TrimRight(whole[:end], " ")
	return text, whole[len(text):]
}

// Lost returns the Reply for an event; why is for people.
func Lost(stage Stage, event, why string) Reply {
	return Reply{Stage: stage, Event: event, Text: clean(why, MaxText)}
}

// OK reports whether the reply is a positive completion (2xx) that was read
// off the wire.
func (r Reply) OK() bool { return r.Event == "" && r.Code/100 == 2 }

// String returns the reply as people know it: "550 5.1.1 no such user", or
// the event and what is known about it.
func (r Reply) String() string {
	switch {
	case r.Event != "" && r.Text != "":
		return r.Event + ": " + r.Text
	case r.Event != "":
		return r.Event
	case r.Text == "":
		return strconv.Itoa(r.Code)
	}
	return strconv.Itoa(r.Code) + " " + r.Text
}

// Parse reads a reply as it stands in a log or a bounce message: "550 5.7.1
// no" or several lines with "550-" between. The Stage of the result is Rcpt.
// A text without a code is an error.
func Parse(text string) (Reply, error) {
	var code int
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimSpace(line)
		n, rest, ok := splitCode(line)
		switch {
		case ok && (code == 0 || n == code):
			code, line = n, rest
		case code == 0:
			return Reply{}, fmt.Errorf("reply %q: expected a code from 200 to 599 and a text, such as \"550 5.1.1 no such user\"", clean(line, MaxText))
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	if code == 0 {
		return Reply{}, fmt.Errorf("empty reply: expected a code and a text, such as \"550 5.1.1 no such user\"")
	}
	return New(Rcpt, code, b.String()), nil
}

// splitCode takes the code and its separator off a reply line.
func splitCode(line string) (code int, rest string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, "", false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, "", true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, "", false
	}
	return code, strings.TrimSpace(line[4:]), true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// enhanced finds the enhanced code: at the head of the text, else in the form
// "(#5.1.1)" that qmail made common.
func enhanced(text string) string {
	if n := enhancedLen(text); n > 0 {
		return text[:n]
	}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "(#")
		if !ok {
			return ""
		}
		if n := enhancedLen(after); n > 0 && n < len(after) && after[n] == ')' {
			return after[:n]
		}
		rest = after
	}
}

// enhancedLen returns the length of the enhanced code that s begins with, 0
// when there is none: class 2, 4 or 5, then two numbers of up to three digits.
func enhancedLen(s string) int {
	if len(s) < 5 || (s[0] != '2' && s[0] != '4' && s[0] != '5') {
		return 0
	}
	i := 1
	for range 2 {
		if i >= len(s) || s[i] != '.' {
			return 0
		}
		i++
		start := i
		for i < len(s) && digit(s[i]) {
			i++
		}
		if i == start || i-start > 3 {
			return 0
		}
	}
	if i < len(s) && (s[i] == '.' || s[i] == '_' || isLetter(s[i])) {
		return 0 // an IP address or a word
	}
	return i
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// clean makes foreign text fit for a log, a terminal and a database: line
// ends become blanks, what cannot be printed is escaped, and at most limit
// bytes remain.
func clean(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		part := s[i : i+n]
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			part = " "
		case r == utf8.RuneError && n == 1:
			part = fmt.Sprintf(`\x%02x`, s[i])
		case !unicode.IsPrint(r):
			part = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if b.Len()+len(part) > limit {
			break
		}
		b.WriteString(part)
		i += n
	}
	return strings.TrimSpace(b.String())
}

// plain reports whether s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
