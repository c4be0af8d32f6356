package hooks

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
)

// mailgunTries is how long Mailgun repeats a request
// (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-retries).
const mailgunTries = 8 * time.Hour

// mailgun reads the webhooks of Mailgun
// (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks).
// The MAC covers a time and a token, and not the event. The token is therefore the ID of
// the notice: with a token that was used before, an event changes nothing.
type mailgun struct{ key []byte }

func (m mailgun) decode(_ *http.Request, body []byte, now time.Time) ([]campaign.Notice, error) {
	var request struct {
		Signature struct {
			Timestamp string `json:"timestamp"`
			Token     string `json:"token"`
			Signature string `json:"signature"`
		} `json:"signature"`
		Event mailgunEvent `json:"event-data"`
	}
	if err := readJSON(body, &request); err != nil {
		return nil, err
	}

	signed := request.Signature
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(signed.Timestamp + signed.Token))
	given, err := hex.DecodeString(signed.Signature)
	if err != nil || signed.Token == "" || !hmac.Equal(given, mac.Sum(nil)) {
		return nil, fmt.Errorf("%w: the signature is not of signing_key", errUnsigned)
	}
	if err := checkUnix(signed.Timestamp, now, mailgunTries+off); err != nil {
		return nil, err
	}

	n := request.Event.notice()
	if n.Class == "" {
		return nil, fmt.Errorf("%w: event-data says no event", errUnreadable)
	}
	n.ID = signed.Token
	n.OneUse = true
	return []campaign.Notice{n}, nil
}

// A mailgunEvent is an event as
// https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure has it.
type mailgunEvent struct {
	Event     string  `json:"event"`
	Timestamp float64 `json:"timestamp"` // seconds since 1970
	Recipient string  `json:"recipient"`
	Severity  string  `json:"severity"` // of failed: permanent or temporary
	Reason    string  `json:"reason"`
	Status    struct {
		Code        int    `json:"code"`
		Enhanced    string `json:"enhanced-code"`
		BounceCode  string `json:"bounce-code"`
		Message     string `json:"message"`
		Description string `json:"description"`
	} `json:"delivery-status"`
	Message struct {
		Headers struct {
			ID string `json:"message-id"`
		} `json:"headers"`
	} `json:"message"`
	Variables struct {
		Token string `json:"token"`
	} `json:"user-variables"`
}

func (e mailgunEvent) notice() campaign.Notice {
	n := campaign.Notice{
		At:        unix(e.Timestamp),
		Recipient: e.Recipient,
		Quoted:    tokens(e.Message.Headers.ID, e.Variables.Token),
		Status:    cmp.Or(e.Status.Enhanced, e.Status.BounceCode),
		Reply:     e.reply(),
	}

	switch e.Event {
	case "delivered":
		n.Class = campaign.ClassDelivered
	case "failed":
		n.Class = e.failed(n.Status)
	case "rejected": // by Mailgun, for our account or content
		n.Class = campaign.ClassBlocked
	case "complained":
		n.Class = campaign.ClassComplaint
	case "unsubscribed":
		n.Class = campaign.ClassUnsubscribed
	case "":
	default:
		n.Class = campaign.ClassOther
		n.Reply = e.Event
	}
	return n
}

func (e mailgunEvent) failed(status string) campaign.Class {
	switch {
	case e.Severity == "temporary":
		return campaign.ClassDelayed
	case e.Reason == "bounce", e.Reason == "suppress-bounce":
		return campaign.ClassHard
	case e.Reason == "suppress-complaint":
		return campaign.ClassComplaint
	case e.Reason == "suppress-unsubscribe":
		return campaign.ClassUnsubscribed
	case strings.HasPrefix(status, "5.1."):
		return campaign.ClassHard
	case e.Reason == "espblock":
		return campaign.ClassBlocked
	}
	return campaign.ClassSoft
}

// reply returns what the server said, with its code in front, or why Mailgun gave up.
func (e mailgunEvent) reply() string {
	text := cmp.Or(e.Status.Message, e.Status.Description)
	if text == "" {
		return e.Reason
	}
	if code := strconv.Itoa(e.Status.Code); e.Status.Code > 0 && !strings.HasPrefix(text, code) {
		text = code + " " + text
	}
	return text
}
