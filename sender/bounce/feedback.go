package bounce

import (
	"strings"

	"broadside/campaign"
)

// feedbackNotices returns what a feedback report says (RFC 5965; RFC 6591 for
// auth-failure). The address is often made unreadable: the tokens of the returned
// message say whose it was.
func (c *contents) feedbackNotices() []campaign.Notice {
	fields, _ := splitHeader([]byte(strings.TrimLeft(string(c.feedback.decoded(maxText)), "\n")))
	kind := strings.ToLower(strings.TrimSpace(fields.get("Feedback-Type")))
	n := campaign.Notice{Class: feedbackClass(kind), Reply: "feedback report: " + kind}

	var all []campaign.Notice
	for _, value := range fields.all("Original-Rcpt-To", "Removal-Recipient", "X-Original-Rcpt-To") {
		if a := addressOf(value); a != "" && len(all) < maxNotices {
			n.Recipient = a
			all = append(all, n)
		}
	}
	if all != nil {
		return all
	}

	if to := c.sentTo(); to != nil {
		n.Recipient = to[0]
	}
	return []campaign.Notice{n}
}

// feedbackClass returns what a Feedback-Type means. auth-failure is about our
// signatures, and not-spam is the reverse of a complaint. Types that are not known
// come from people too, who pressed a button.
func feedbackClass(kind string) campaign.Class {
	switch kind {
	case "not-spam", "auth-failure", "dmarc", "delivery-failed":
		return campaign.ClassOther
	case "opt-out", "opt-out-list", "unsubscribe":
		return campaign.ClassUnsubscribed
	}
	return campaign.ClassComplaint
}

// hotmailComplaint reports whether the message is a complaint of Hotmail, which
// follows no standard.
func (c *contents) hotmailComplaint() bool {
	return strings.Contains(c.subject, "complaint about message from") && c.returned != nil
}

func (c *contents) hotmailNotices() []campaign.Notice {
	n := campaign.Notice{Class: campaign.ClassComplaint, Reply: "feedback report: abuse"}
	for _, e := range c.returned {
		for _, value := range e.header.all("X-HmXmrOriginalRecipient") {
			n.Recipient = addressOf(value)
		}
	}
	return []campaign.Notice{n}
}
