package hooks

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"broadside/campaign"
)

// sendgrid reads the Event Webhook of SendGrid, signed with ECDSA on P-256 over the
// time and the body
// (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features).
type sendgrid struct{ key *ecdsa.PublicKey }

func (s sendgrid) decode(r *http.Request, body []byte, now time.Time) ([]campaign.Notice, error) {
	signed := r.Header.Get("X-Twilio-Email-Event-Webhook-Timestamp")
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Email-Event-Webhook-Signature"))
	if err != nil || len(signature) == 0 {
		return nil, fmt.Errorf("%w: no signature, expected the Signed Event Webhook: switch it on at SendGrid", errUnsigned)
	}

	hash := sha256.New()
	hash.Write([]byte(signed))
	hash.Write(body) // as it came: its last line break is signed too
	if !ecdsa.VerifyASN1(s.key, hash.Sum(nil), signature) {
		return nil, fmt.Errorf("%w: the signature is not of public_key", errUnsigned)
	}
	if err := checkUnix(signed, now, off); err != nil {
		return nil, err
	}
	return readEvents(body, sendgridEvent.notice)
}

// A sendgridEvent is an event as
// https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event has it.
// Arguments of the message, such as our token, stand among its fields.
type sendgridEvent struct {
	Event          string  `json:"event"`
	ID             string  `json:"sg_event_id"`
	Email          string  `json:"email"`
	Timestamp      float64 `json:"timestamp"` // seconds since 1970
	SMTPID         string  `json:"smtp-id"`   // the Message-ID
	Token          string  `json:"token"`
	Type           string  `json:"type"` // of a bounce: bounce or blocked
	Classification string  `json:"bounce_classification"`
	Status         string  `json:"status"`
	Reason         string  `json:"reason"`
	Response       string  `json:"response"`
}

func (e sendgridEvent) notice() campaign.Notice {
	n := campaign.Notice{
		ID:        e.ID,
		At:        unix(e.Timestamp),
		Recipient: e.Email,
		Quoted:    tokens(e.SMTPID, e.Token),
		Status:    e.Status,
		Reply:     cmp.Or(e.Reason, e.Response),
	}

	switch e.Event {
	case "delivered":
		n.Class = campaign.ClassDelivered
	case "deferred":
		n.Class = campaign.ClassDelayed
	case "bounce":
		n.Class = e.bounce()
	case "dropped":
		n.Class = e.dropped()
		n.Reply = "not tried by SendGrid: " + e.Reason
	case "spamreport":
		n.Class = campaign.ClassComplaint
	case "unsubscribe", "group_unsubscribe":
		n.Class = campaign.ClassUnsubscribed
	case "":
	default:
		n.Class = campaign.ClassOther
		n.Reply = e.Event
	}
	return n
}

func (e sendgridEvent) bounce() campaign.Class {
	switch {
	case e.Type == "blocked":
		return campaign.ClassBlocked
	case e.Classification != "Invalid Address" && strings.HasPrefix(e.Status, "4"):
		return campaign.ClassSoft
	}
	return campaign.ClassHard
}

// dropped returns what SendGrid has known of an address to which it did not send.
func (e sendgridEvent) dropped() campaign.Class {
	switch e.Reason {
	case "Bounced Address":
		return campaign.ClassHard
	case "Spam Reporting Address":
		return campaign.ClassComplaint
	case "Unsubscribed Address":
		return campaign.ClassUnsubscribed
	}
	return campaign.ClassBlocked // our account or content
}
