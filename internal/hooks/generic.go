package hooks

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"broadside/campaign"
	"broadside/internal/standardwebhooks"
)

// generic reads events of our own form (docs/webhooks.md), signed as Standard Webhooks
// describes.
type generic struct{ key []byte }

func (g generic) decode(r *http.Request, body []byte, now time.Time) ([]campaign.Notice, error) {
	if !standardwebhooks.Verify(r.Header, g.key, body) {
		return nil, fmt.Errorf("%w: no webhook-signature is of secret, or webhook-id is missing", errUnsigned)
	}
	if err := checkUnix(r.Header.Get(standardwebhooks.HeaderTimestamp), now, off); err != nil {
		return nil, err
	}

	id := r.Header.Get(standardwebhooks.HeaderID)
	number := 0
	return readEvents(body, func(e genericEvent) campaign.Notice {
		number++
		n := e.notice()
		n.ID = cmp.Or(e.ID, id+":"+strconv.Itoa(number))
		return n
	})
}

type genericEvent struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Recipient string `json:"recipient"`
	MessageID string `json:"message_id"`
	At        string `json:"at"` // RFC 3339
	Reply     string `json:"reply"`
}

func (e genericEvent) notice() campaign.Notice {
	n := campaign.Notice{
		At:        iso(e.At),
		Recipient: e.Recipient,
		Quoted:    tokens(e.MessageID),
		Reply:     e.Reply,
	}
	switch e.Type {
	case "delivered":
		n.Class = campaign.ClassDelivered
	case "bounced":
		n.Class = campaign.ClassHard
	case "blocked":
		n.Class = campaign.ClassBlocked
	case "deferred":
		n.Class = campaign.ClassDelayed
	case "complained":
		n.Class = campaign.ClassComplaint
	case "unsubscribed":
		n.Class = campaign.ClassUnsubscribed
	case "":
	default:
		n.Class = campaign.ClassOther
		n.Reply = e.Type
	}
	return n
}
