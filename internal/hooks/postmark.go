package hooks

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"broadside/campaign"
)

// postmark reads the webhooks of Postmark. They are not signed: what shows that they are
// its own is the login in the address that it calls
// (https://postmarkapp.com/developer/webhooks/webhooks-overview).
type postmark struct{ login [sha256.Size]byte }

func newPostmark(username, password string) postmark {
	return postmark{sha256.Sum256([]byte(username + ":" + password))}
}

func (p postmark) decode(r *http.Request, body []byte, _ time.Time) ([]campaign.Notice, error) {
	username, password, ok := r.BasicAuth()
	login := sha256.Sum256([]byte(username + ":" + password)) // of one length, whatever was sent
	if !ok || subtle.ConstantTimeCompare(login[:], p.login[:]) != 1 {
		return nil, fmt.Errorf("%w: the login is not username and password", errUnsigned)
	}
	return readEvents(body, postmarkEvent.notice)
}

// A postmarkEvent is what the pages on each webhook below
// https://postmarkapp.com/developer/webhooks describe.
type postmarkEvent struct {
	RecordType  string `json:"RecordType"`
	ID          int64  `json:"ID"`
	Type        string `json:"Type"` // of a bounce
	MessageID   string `json:"MessageID"`
	Email       string `json:"Email"`
	Recipient   string `json:"Recipient"`
	Details     string `json:"Details"`
	Description string `json:"Description"`
	Metadata    struct {
		Token string `json:"token"`
	} `json:"Metadata"`

	BouncedAt   string `json:"BouncedAt"`
	DeliveredAt string `json:"DeliveredAt"`
	ChangedAt   string `json:"ChangedAt"`
	ReceivedAt  string `json:"ReceivedAt"`

	SuppressSending   bool   `json:"SuppressSending"`
	SuppressionReason string `json:"SuppressionReason"`
}

func (e postmarkEvent) notice() campaign.Notice {
	at := cmp.Or(e.BouncedAt, e.DeliveredAt, e.ChangedAt, e.ReceivedAt)
	recipient := cmp.Or(e.Email, e.Recipient)
	id := e.RecordType + ":" + strconv.FormatInt(e.ID, 10)
	if e.ID == 0 {
		id = e.RecordType + ":" + e.MessageID + ":" + recipient + ":" + at
	}

	n := campaign.Notice{
		ID:        id,
		At:        iso(at),
		Recipient: recipient,
		Quoted:    tokens(e.Metadata.Token),
		Reply:     diagnostic(cmp.Or(e.Details, e.Description)),
	}
	switch e.RecordType {
	case "Delivery":
		n.Class = campaign.ClassDelivered
	case "Bounce":
		n.Class = postmarkBounce(e.Type)
	case "SpamComplaint":
		n.Class = campaign.ClassComplaint
	case "SubscriptionChange":
		n.Class = e.change()
		n.Reply = "suppressed at Postmark: " + e.SuppressionReason
	case "":
	default:
		n.Class = campaign.ClassOther
	}

	if n.Class == campaign.ClassOther {
		n.Reply = cmp.Or(e.Type, e.RecordType)
	}
	return n
}

// postmarkBounce returns the class of a type of
// https://postmarkapp.com/developer/api/bounce-api#bounce-types.
func postmarkBounce(kind string) campaign.Class {
	switch kind {
	case "HardBounce", "BadEmailAddress":
		return campaign.ClassHard
	case "SpamComplaint":
		return campaign.ClassComplaint
	case "Unsubscribe":
		return campaign.ClassUnsubscribed
	case "AutoResponder", "ChallengeVerification":
		return campaign.ClassAutoReply
	case "Blocked", "SpamNotification", "VirusNotification", "DMARCPolicy":
		return campaign.ClassBlocked
	case "Subscribe", "OpenRelayTest", "AddressChange":
		return campaign.ClassOther
	}
	return campaign.ClassSoft
}

// change returns why Postmark stops sending to an address; that it starts again means
// nothing here.
func (e postmarkEvent) change() campaign.Class {
	switch {
	case !e.SuppressSending:
		return campaign.ClassOther
	case e.SuppressionReason == "HardBounce":
		return campaign.ClassHard
	case e.SuppressionReason == "SpamComplaint":
		return campaign.ClassComplaint
	case e.SuppressionReason == "ManualSuppression": // by the reader, or by hand
		return campaign.ClassUnsubscribed
	}
	return campaign.ClassOther
}
