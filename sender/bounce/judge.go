package bounce

import (
	"regexp"
	"strconv"
	"strings"

	"broadside/campaign"
	"broadside/sender/reply"
)

// Judge returns what a notice comes to by the reply rules, and why: the id of the
// rule that decided, or what else did. confirm is how many such messages, a day apart or
// more, make the address dead; 0: this one decides by itself.
//
// It never makes more of a notice than it claims: what is soft, delayed or blocked
// stays no worse than that. A claim that the address is dead holds only where a rule
// says so of the reply. Where nothing is known of a reply the status code alone
// decides, or the word of a sender that signed the notice.
func Judge(rules *reply.Rules, n campaign.Notice) (class campaign.Class, reason string, confirm int) {
	switch n.Class {
	case campaign.ClassHard, campaign.ClassSoft, campaign.ClassBlocked:
	case campaign.ClassDelayed:
		return n.Class, "delayed", 0
	case campaign.ClassNotABounce:
		return n.Class, "not a bounce", 0
	default:
		return n.Class, reasonOf(n), 0
	}

	r, quoted := replyOf(n)
	if !strings.ContainsFunc(n.Reply, isLetter) || quoted && !strings.ContainsFunc(r.Text, isLetter) {
		class, reason = judgeStatus(n, r, quoted)
		return class, reason, 0
	}
	d := rules.Classify(r)
	switch {
	case aboutSender(r, d):
		return campaign.ClassBlocked, d.Rule, 0
	case n.Class != campaign.ClassHard:
		return n.Class, d.Rule, 0
	case n.Signed && confirms(rules, n, d, quoted):
		return campaign.ClassHard, d.Rule, 0
	case quoted && d.Verdict == reply.SuppressHard && !inUse(n, r):
		return campaign.ClassHard, d.Rule, 0
	case !quoted && isDead(n.Reply) && nothingElse(rules, n.Reply):
		return campaign.ClassHard, "words of the mail system", 0
	case !quoted && deadStatus[n.Status] && d.Verdict == reply.SuppressHard && !containsAny(plain(n.Reply), doubts):
		return campaign.ClassHard, d.Rule, 0
	case quoted:
		return campaign.ClassSoft, d.Rule, d.Confirm // as the same reply counts while sending
	}
	return campaign.ClassSoft, d.Rule, 0
}

// inUse reports whether a reply that names no such user may be about an address in use.
// A code of the class 5.2 is about a mailbox that is there. A server that knows its
// users refuses them at RCPT: after the body the mobile carriers of Japan say "User
// unknown" where a reader's filter takes no mail from this sender.
func inUse(n campaign.Notice, r reply.Reply) bool {
	if strings.HasPrefix(r.Enhanced, "5.2.") || r.Enhanced == "" && strings.HasPrefix(n.Status, "5.2.") {
		return true
	}
	return r.Stage == reply.Dot && !deadStatus[r.Enhanced]
}

// nothingElse reports whether a text speaks of nothing that can befall an address in
// use: with a sign of that no rule believes the words that are put before it.
func nothingElse(rules *reply.Rules, text string) bool {
	r := reply.New(reply.Rcpt, 550, "5.1.1 User unknown. "+text)
	return rules.Classify(r).Verdict == reply.SuppressHard
}

// reasonOf returns the reason of a notice that is about no reply of a server.
func reasonOf(n campaign.Notice) string {
	if n.Reply != "" && len(n.Reply) <= 100 {
		return n.Reply
	}
	return string(n.Class)
}

// deadStatus are the codes that mean that there is no such address, whichever server gives them
// (RFC 3463 3.2, RFC 7505 4.2).
var deadStatus = map[string]bool{"5.1.1": true, "5.1.3": true, "5.1.6": true, "5.1.10": true}

// judgeStatus judges a notice without a word; r is what was found of a reply.
func judgeStatus(n campaign.Notice, r reply.Reply, quoted bool) (class campaign.Class, reason string) {
	if quoted && r.Code < 500 && n.Class == campaign.ClassHard {
		n.Class = campaign.ClassSoft
	}
	if quoted && r.Enhanced != "" {
		n.Status = r.Enhanced
	}
	reason = "no reply"
	if n.Status != "" {
		reason = "status " + n.Status
	}

	switch {
	case strings.Contains(n.Status, ".7."):
		return campaign.ClassBlocked, reason
	case n.Class != campaign.ClassHard:
		return n.Class, reason
	case deadStatus[n.Status], n.Signed && !strings.HasPrefix(n.Status, "4"):
		return campaign.ClassHard, reason
	}
	return campaign.ClassSoft, reason
}

// confirms reports whether what is known of the reply is enough for the word of a
// sender that signed the notice. Some of them call hard whatever begins with a 5.
func confirms(rules *reply.Rules, n campaign.Notice, d reply.Decision, quoted bool) bool {
	switch {
	case d.Verdict == reply.SuppressHard, d.Confirm > 0:
		return true
	case d.Rule == "f-5xx": // which no rule knows
		return !quoted && nothingElse(rules, n.Reply)
	}
	return false
}

// aboutSender reports whether the reply is about who sent the message, what is in it,
// or a policy.
func aboutSender(r reply.Reply, d reply.Decision) bool {
	switch d.Scope {
	case "sender", "ip", "account", "campaign", "message":
		return true
	}
	return d.Verdict == reply.PauseLane || d.Verdict == reply.PauseAccount || d.Rule == "f-57x" ||
		d.Verdict == reply.FailNoSuppress && strings.Contains(r.Enhanced, ".7.")
}

// stageForms tell at which stage of the dialogue a reply was given. Without one it is
// taken for the reply to RCPT.
var stageForms = []struct {
	stage reply.Stage
	expr  *regexp.Regexp
}{
	{reply.Dot, regexp.MustCompile(`(?i)in reply to end of data|after end of (?:message|data)|after i sent the message|smtp command:? data|for text command|smtp:data`)},
	{reply.Mail, regexp.MustCompile(`(?i)in reply to mail from|after (?:pipelined )?mail from|>>> mail from|smtp:mail\b`)},
	{reply.Auth, regexp.MustCompile(`(?i)in reply to auth|after auth\b|>>> auth`)},
	{reply.Ehlo, regexp.MustCompile(`(?i)in reply to (?:ehlo|helo|starttls|lhlo)|after (?:ehlo|helo|starttls)|>>> (?:ehlo|helo)|smtp:(?:ehlo|helo)\b`)},
	{reply.Connect, regexp.MustCompile(`(?i)refused to talk to me|after initial connection|while receiving the initial server greeting`)},
}

// replyOf finds the reply of a server in what a notice says. quoted is false where
// there is none, and the result is made from the words of the mail system.
func replyOf(n campaign.Notice) (r reply.Reply, quoted bool) {
	code := 550
	if n.Class != campaign.ClassHard || strings.HasPrefix(n.Status, "4") {
		code = 450
	}

	text := n.Reply
	start, end, quoted := replyIn(text)
	if quoted {
		code, _ = strconv.Atoi(text[start:end]) // three digits
		text = joined(text[start:], text[start:end], before(text, start))
	} else if at := statusInText.FindStringSubmatchIndex(text); at != nil {
		quoted = true // some leave the code of three digits out
		code = int(text[at[2]]-'0')*100 + 50
		text = text[at[2]:]
	} else if n.Status != "" && !strings.HasSuffix(n.Status, ".0.0") {
		text = n.Status + " " + text
	}

	r = reply.New(stageOf(n.Reply), code, text)
	r.Direct = true
	_, domain, _ := strings.Cut(n.Recipient, "@")
	r.Provider = campaign.ProviderOf(strings.ToLower(domain))
	return r, quoted
}

func before(text string, at int) string { return text[max(0, at-1):at] }

func stageOf(text string) reply.Stage {
	for _, form := range stageForms {
		if form.expr.MatchString(text) {
			return form.stage
		}
	}
	return reply.Rcpt
}

// stageWords returns the words of a text that tell the stage; empty when none do.
func stageWords(text string) string {
	for _, form := range stageForms {
		if words := form.expr.FindString(text); words != "" {
			return words
		}
	}
	return ""
}

// behindReply is what mail systems write behind the reply of a server.
var behindReply = regexp.MustCompile(`(?i)\s*\((?:in reply to|#?end of|delivery attempts).*| giving up on .*|\s*(?:final-log-id|remote host said|-{3,}).*`)

// joined makes one text of the lines of a reply, which have the code before each. A
// reply in brackets ends with them.
func joined(text, code, before string) string {
	switch before {
	case "[":
		text = upTo(text, '[', ']')
	case "(":
		text = upTo(text, '(', ')')
	}

	text = strings.TrimLeft(text[len(code):], " -:,;\"'=[]")
	text = behindReply.ReplaceAllString(text, "")
	for _, between := range []string{" " + code + "-", " " + code + " "} {
		text = strings.ReplaceAll(text, between, " ")
	}
	return strings.TrimPrefix(text, "#")
}

// upTo cuts a text at the bracket that closes one that was opened before it.
func upTo(text string, opening, closing rune) string {
	depth := 1
	for i, c := range text {
		switch c {
		case opening:
			depth++
		case closing:
			depth--
		}
		if depth == 0 {
			return text[:i]
		}
	}
	return text
}
