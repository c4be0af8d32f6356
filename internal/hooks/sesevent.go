package hooks

import (
	"cmp"
	"fmt"
	"strings"

	"broadside/campaign"
)

// A sesEvent is what SES says, as
// https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html and
// .../event-publishing-retrieving-sns-contents.html have it.
type sesEvent struct {
	NotificationType string       `json:"notificationType"` // of an identity
	EventType        string       `json:"eventType"`        // of a configuration set
	Mail             sesMail      `json:"mail"`
	Bounce           sesBounce    `json:"bounce"`
	Complaint        sesComplaint `json:"complaint"`
	Delivery         sesDelivery  `json:"delivery"`
	Delay            sesDelay     `json:"deliveryDelay"`
	Reject           struct {
		Reason string `json:"reason"`
	} `json:"reject"`
}

type sesMail struct {
	Timestamp   string   `json:"timestamp"`
	Destination []string `json:"destination"`
	Headers     []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"headers"` // those that we sent, where they are included
	Tags struct {
		Token []string `json:"token"`
	} `json:"tags"`
}

type sesRecipient struct {
	Address    string `json:"emailAddress"`
	Status     string `json:"status"`
	Diagnostic string `json:"diagnosticCode"`
}

type sesBounce struct {
	Type       string         `json:"bounceType"`
	SubType    string         `json:"bounceSubType"`
	Recipients []sesRecipient `json:"bouncedRecipients"`
	Timestamp  string         `json:"timestamp"`
	FeedbackID string         `json:"feedbackId"`
}

type sesComplaint struct {
	Type       string         `json:"complaintFeedbackType"`
	Recipients []sesRecipient `json:"complainedRecipients"`
	Timestamp  string         `json:"timestamp"`
	FeedbackID string         `json:"feedbackId"`
}

type sesDelivery struct {
	Recipients []string `json:"recipients"`
	Timestamp  string   `json:"timestamp"`
	Response   string   `json:"smtpResponse"`
}

type sesDelay struct {
	Type       string         `json:"delayType"`
	Recipients []sesRecipient `json:"delayedRecipients"`
	Timestamp  string         `json:"timestamp"`
}

// sesNotices returns a notice for each recipient that an event names.
func sesNotices(m snsMessage) ([]campaign.Notice, error) {
	var e sesEvent
	if err := readJSON([]byte(m.Message), &e); err != nil {
		return nil, err
	}

	model := campaign.Notice{Quoted: e.Mail.tokens()}
	id, at := m.MessageID, m.Timestamp
	var recipients []sesRecipient
	switch kind := cmp.Or(e.NotificationType, e.EventType); kind {
	case "Bounce":
		model.Class, model.Reply = e.Bounce.class()
		id, at, recipients = cmp.Or(e.Bounce.FeedbackID, id), e.Bounce.Timestamp, e.Bounce.Recipients
	case "Complaint":
		model.Class, model.Reply = e.Complaint.class()
		id, at, recipients = cmp.Or(e.Complaint.FeedbackID, id), e.Complaint.Timestamp, e.Complaint.Recipients
	case "Delivery":
		model.Class, model.Reply = campaign.ClassDelivered, e.Delivery.Response
		at, recipients = e.Delivery.Timestamp, addressed(e.Delivery.Recipients)
	case "DeliveryDelay":
		model.Class, model.Reply = campaign.ClassDelayed, e.Delay.Type
		at, recipients = e.Delay.Timestamp, e.Delay.Recipients
	case "Reject": // by SES, for the content
		model.Class, model.Reply = campaign.ClassBlocked, "not tried by SES: "+e.Reject.Reason
		recipients = addressed(e.Mail.Destination)
	case "":
		return nil, fmt.Errorf("%w: the message of SNS says no notificationType and no eventType", errUnreadable)
	default:
		model.Class, model.Reply = campaign.ClassOther, kind
		recipients = addressed(e.Mail.Destination)
	}

	if len(recipients) > maxEvents {
		return nil, fmt.Errorf("%w: more than %d recipients", errTooLarge, maxEvents)
	}
	notices := make([]campaign.Notice, 0, len(recipients))
	for _, r := range recipients {
		n := model
		n.ID = id + ":" + r.Address
		n.At = iso(cmp.Or(at, m.Timestamp))
		n.Recipient = r.Address
		n.Status = r.Status
		n.Reply = cmp.Or(diagnostic(r.Diagnostic), n.Reply)
		notices = append(notices, n)
	}
	return notices, nil
}

// tokens returns what may be our token: SES writes a Message-ID of its own, and reports
// ours among the headers.
func (m sesMail) tokens() []string {
	texts := m.Tags.Token
	for _, h := range m.Headers {
		if strings.EqualFold(h.Name, "Message-ID") {
			texts = append(texts, h.Value)
		}
	}
	return tokens(texts...)
}

// class returns what a bounce means, and what to say where no server has said anything.
func (b sesBounce) class() (campaign.Class, string) {
	switch {
	case b.Type != "Permanent":
		return campaign.ClassSoft, b.Type + " " + b.SubType
	case b.SubType == "UnsubscribedRecipient":
		return campaign.ClassUnsubscribed, "not tried by SES: " + b.SubType
	case b.SubType == "Suppressed", b.SubType == "OnAccountSuppressionList":
		return campaign.ClassHard, "not tried by SES: " + b.SubType
	}
	return campaign.ClassHard, b.Type + " " + b.SubType
}

func (c sesComplaint) class() (campaign.Class, string) {
	if c.Type == "not-spam" {
		return campaign.ClassOther, "Complaint not-spam"
	}
	return campaign.ClassComplaint, c.Type
}

func addressed(addresses []string) []sesRecipient {
	recipients := make([]sesRecipient, len(addresses))
	for i, a := range addresses {
		recipients[i].Address = a
	}
	return recipients
}
