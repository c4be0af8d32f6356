package bounce

import (
	"regexp"
	"strconv"
	"strings"

	"broadside/campaign"
	"broadside/sender/reply"
)

// Judge returns what a notice comes to by the reply rules, and why: the id of the
// rule that decided, or what else did.
//
// It never makes more of a notice than it claims: what is soft, delayed or blocked
// stays no worse than that. A claim that the address is dead holds only where a rule
// says so of the reply. Where nothing is known of a reply the status code alone
// decides, or the word of a sender that signed the notice.
func Judge(rules *reply.Rules, n campaign.Notice) (class campaign.Class, reason string) {
	switch n.Class {
	case campaign.ClassHard, campaign.ClassSoft, campaign.ClassBlocked, campaign.ClassDelayed:
	case campaign.ClassNotABounce:
		return n.Class, "not a bounce"
	default:
		return n.Class, reasonOf(n)
	}

	if n.Reply == "" {
		return judgeStatus(n)
	}
	r := replyOf(n)
	d := rules.Classify(r)
	switch {
	case n.Class == campaign.ClassDelayed:
		return n.Class, d.Rule
	case aboutSender(r, d):
		return campaign.ClassBlocked, d.Rule
	case n.Class != campaign.ClassHard:
		return n.Class, d.Rule
	case d.Verdict == reply.SuppressHard:
		return campaign.ClassHard, d.Rule
	case n.Signed && (d.Confirm > 0 || undecided(d)):
		return campaign.ClassHard, d.Rule // whoever signed it knows more than the text
	case deadByStatus(n, rules):
		return campaign.ClassHard, "status " + n.Status
	}
	return campaign.ClassSoft, d.Rule
}

// reasonOf returns the reason of a notice that is about no reply of a server.
func reasonOf(n campaign.Notice) string {
	if n.Reply != "" && len(n.Reply) <= 100 {
		return n.Reply
	}
	return string(n.Class)
}

// deadStatus are the codes that mean that there is no such address, whoever gives them
// (RFC 3463 3.2, RFC 7505 4.2).
var deadStatus = map[string]bool{"5.1.1": true, "5.1.3": true, "5.1.6": true, "5.1.10": true}

// judgeStatus judges a notice without a text.
func judgeStatus(n campaign.Notice) (class campaign.Class, reason string) {
	reason = "no reply"
	if n.Status != "" {
		reason = "status " + n.Status
	}
	switch {
	case n.Class == campaign.ClassDelayed:
		return n.Class, reason
	case strings.Contains(n.Status, ".7."):
		return campaign.ClassBlocked, reason
	case n.Class != campaign.ClassHard:
		return n.Class, reason
	case deadStatus[n.Status], n.Signed && !strings.HasPrefix(n.Status, "4"):
		return campaign.ClassHard, reason
	}
	return campaign.ClassSoft, reason
}

// undecided reports whether no rule knew the text: only the code decided.
func undecided(d reply.Decision) bool { return d.Rule == "f-5xx" || d.Rule == "f-protocol" }

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

// deadByStatus reports whether the status of a notice alone means that the address is
// dead: where no server was asked, so that the text is one for people, in any language.
// Such a text has a veto: with the sign of anything that can befall an address in use
// no rule believes the words that are put before it.
func deadByStatus(n campaign.Notice, rules *reply.Rules) bool {
	if !deadStatus[n.Status] || replyForm.MatchString(n.Reply) {
		return false
	}
	r := reply.New(reply.Rcpt, 550, n.Status+" User unknown. "+n.Reply)
	return rules.Classify(r).Verdict == reply.SuppressHard
}

// stageForms tell at which stage of the dialogue a reply was given. Without one it is
// taken for the reply to RCPT.
var stageForms = []struct {
	stage reply.Stage
	expr  *regexp.Regexp
}{
	{reply.Dot, regexp.MustCompile(`(?i)in reply to end of data|after end of (?:message|data)|after sending message|end of data`)},
	{reply.Mail, regexp.MustCompile(`(?i)in reply to mail from|after (?:pipelined )?mail from|>>> mail from|smtp:mail\b`)},
	{reply.Auth, regexp.MustCompile(`(?i)in reply to auth|after auth\b|>>> auth`)},
	{reply.Ehlo, regexp.MustCompile(`(?i)in reply to (?:ehlo|helo|starttls|lhlo)|after (?:ehlo|helo|starttls)|>>> (?:ehlo|helo)|smtp:(?:ehlo|helo)\b`)},
	{reply.Connect, regexp.MustCompile(`(?i)refused to talk to me|after initial connection|while receiving the initial server greeting`)},
}

// replyOf finds the reply of a server in what a notice says.
func replyOf(n campaign.Notice) reply.Reply {
	text := n.Reply
	code := 550
	if n.Class != campaign.ClassHard || strings.HasPrefix(n.Status, "4") {
		code = 450
	}

	if found := replyForm.FindStringSubmatchIndex(text); found != nil {
		number := text[found[2]:found[3]]
		if said, err := strconv.Atoi(number); err == nil {
			code = said
		}
		text = joined(text[found[3]:], number)
	} else if n.Status != "" && !strings.HasSuffix(n.Status, ".0.0") {
		text = n.Status + " " + text
	}

	r := reply.New(stageOf(n.Reply), code, text)
	r.Direct = true
	_, domain, _ := strings.Cut(n.Recipient, "@")
	r.Provider = campaign.ProviderOf(strings.ToLower(domain))
	return r
}

func stageOf(text string) reply.Stage {
	for _, form := range stageForms {
		if form.expr.MatchString(text) {
			return form.stage
		}
	}
	return reply.Rcpt
}

// behindReply is what mail systems write behind the reply of a server.
var behindReply = regexp.MustCompile(`(?i)\s*\((?:in reply to|#?end of|delivery attempts).*| giving up on .*|\s*(?:final-log-id|remote host said|-{3,}).*`)

// joined makes one text of the lines of a reply, which have the code before each.
func joined(text, code string) string {
	text = strings.TrimLeft(text, " -:,;\"'=[]")
	text = behindReply.ReplaceAllString(text, "")
	for _, between := range []string{" " + code + "-", " " + code + " "} {
		text = strings.ReplaceAll(text, between, " ")
	}
	return strings.TrimPrefix(text, "#")
}
