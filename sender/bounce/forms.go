package bounce

import (
	"regexp"
	"strings"
)

// address stands for an address in the forms below, with or without brackets and
// quotes around it.
const anyAddress = `[<\["'(]*(?:mailto:)?((?:"[^"\s@<>]+"|[\pL\pN!#$%&'*+/=?^_{|}~.-]+)@[\pL\pN-]+(?:\.[\pL\pN-]+)+)[>\]"')]*`

// A recipientForm is a line in which mail systems name a recipient.
type recipientForm struct {
	id      string
	expr    *regexp.Regexp // its first group is the address
	example string         // that comes to ann@example.net
}

func form(id, expr, example string) recipientForm {
	return recipientForm{id, regexp.MustCompile(`(?i)` + strings.ReplaceAll(expr, "ADDRESS", anyAddress)), example}
}

// recipientForms leave no doubt. They are tried in their order, and the line of a
// recipient begins what is said of it.
var recipientForms = []recipientForm{
	form("expanded", `\((?:expanded|generated) from:?\s*ADDRESS`, "<ann-smith@example.net> (expanded from <ann@example.net>): host mx"), // the address that we wrote to
	form("alone", `^[\s*•-]*ADDRESS[:;,.]?\s*$`, "  <ann@example.net>:"),                                                                // qmail, Exim, Sendmail, Yahoo, Gmail
	form("explained", `^[\s*•-]*ADDRESS\s*(?:\.\.\.|:|;|,|=>|--?>?|\()\s*\S`, "<ann@example.net>: host mx.example.net said: 550 no"),    // Postfix
	form("named", `^\s*(?:[^<>@]{1,60}\s)?<ADDRESS>?\s*$`, "\"Ann Example\" <ann@example.net>"),
	form("on-date", `^\s*ADDRESS on \S+, \d`, "ann@example.net on Fri, 20 Jul 2001 11:08:59 -0700"), // Exchange
	form("x400", `dda:smtp=ADDRESS`, "c=US;a= ;p=IKON;dda:SMTP=ann@example.net; on Fri"),            // Exchange 5.5
	form("label", `^[\s*•>-]*(?:original address|recipient address|undeliverable address|invalid address|failed address|failed recipient|recipients?(?: address)?|email address|e-mail|address|user|rcpt to|addressee|destinatar(?:io|ário|ul)|destinataire|empfänger|adressat|odbiorca|получатель|ontvanger|geadresseerde|收件人|收信人|受信者|宛先|받는 ?사람|수신자)\s*[:：=]\s*(?:rfc822;)?\s*ADDRESS`, "Recipient: [ann@example.net]"),
	form("reply", `^\s*(?:<<<\s*)?[45]\d\d[ -](?:[45]\.\d+\.\d+ )?(?:[^<>@]{0,40}\s)?<?ADDRESS`, "550 5.1.1 <ann@example.net>... User unknown"), // Sendmail
	form("command", `rcpt to:\s*ADDRESS`, ">>> RCPT To:<ann@example.net>"),
	form("full", `(?:exceeds allowed size|mailbox is full|over quota|mailbox full|unknown user|user unknown|invalid user|no such user|invalid recipient|unable to relay for)[^:]{0,20}:?\s*ADDRESS`, "User mailbox exceeds allowed size: ann@example.net"), // IMail
}

// looseForms count where no line has one of recipientForms: only the first line that has
// the first of them.
var looseForms = []recipientForm{
	form("to-whom", `\b(?:deliver(?:ed|y|ing)?|sent|addressed|message|mail|relay|send|reach|reached|returned permanent errors)\b(?: to| for| the following recipients?)?[:\s]+ADDRESS`, "Delivery to ann@example.net failed"),
	form("to-whom-else", `(?:\bto|\bfor|\buser|\baccount|\bmailbox|\brecipient|\baddress|\ban|\bà|\ba|\bпользователя|\bдля)\s+ADDRESS`, "The account ann@example.net is not here"),
	form("anywhere", `ADDRESS`, "Sorry, ann@example.net is not here"),
}

// fromForm finds an address that is said to be a sender's.
var fromForm = regexp.MustCompile(`(?i)\bfrom:?\s+` + anyAddress)

// replyForms find the reply of a server in a text: its code, which is the first group.
// The first form has an enhanced code behind it, and can stand anywhere. RFC 5321 4.2
// knows no codes above 559; some servers do.
var replyForms = []*regexp.Regexp{
	regexp.MustCompile(`(?:^|[^\d.])([45][0-9]\d)[ :-]{1,3}[#(]{0,2}[245]\.\d{1,3}\.\d{1,3}\b`),
	regexp.MustCompile(`(?i)(?:^|said:|<<<|reason:|response(?: was)?:|error(?: code)? ?:?|code ?:?|status ?:?|reply:?|[;:(\["'>,.]|=>|-|smtp|with)\s?"?(?:[45]\d\d )?([45][0-9]\d)(?:[ :,;-]{1,3}(?:[<"'(\[:;]|[^\d\s])|\s*$|["\])])`),
	regexp.MustCompile(`\s([45][0-9]\d)[ -]+<`),
}

// replyIn finds the code of a server's reply in a text: start and end; ok is false when
// there is none.
func replyIn(text string) (start, end int, ok bool) {
	if !hasCode(text) {
		return 0, 0, false
	}
	for _, form := range replyForms {
		if found := form.FindStringSubmatchIndex(text); found != nil {
			return found[2], found[3], true
		}
	}
	return 0, 0, false
}

// hasCode reports whether three digits are in a text that may be a code: most texts
// have none, and the forms take their time.
func hasCode(text string) bool {
	for i := 0; i+3 <= len(text); i++ {
		if (text[i] == '4' || text[i] == '5') && isDigit(text[i+1]) && isDigit(text[i+2]) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// hasReply reports whether the reply of a server is in a text.
func hasReply(text string) bool {
	_, _, ok := replyIn(text)
	return ok
}

// statusInText finds an enhanced status code that stands alone, and is the first group.
var statusInText = regexp.MustCompile(`(?:^|[^\d.])([45]\.\d\.\d{1,3})(?:[^\d.]|$)`)
