package hooks

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
)

// generic reads events of our own form (docs/webhooks.md), signed as Standard Webhooks
// describes (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
// HMAC-SHA256 over id, time and body, with a dot between them.
type generic struct{ key []byte }

func (g generic) decode(r *http.Request, body []byte, now time.Time) ([]campaign.Notice, error) {
	id := r.Header.Get("webhook-id")
	signed := r.Header.Get("webhook-timestamp")
	mac := hmac.New(sha256.New, g.key)
	mac.Write([]byte(id + "." + signed + "."))
	mac.Write(body)
	if id == "" || !oneFits(r.Header.Get("webhook-signature"), mac.Sum(nil)) {
		return nil, fmt.Errorf("%w: no webhook-signature is of secret, or webhook-id is missing", errUnsigned)
	}
	if err := checkUnix(signed, now, off); err != nil {
		return nil, err
	}

	number := 0
	return readEvents(body, func(e genericEvent) campaign.Notice {
		number++
		n := e.notice()
		n.ID = cmp.Or(e.ID, id+":"+strconv.Itoa(number))
		return n
	})
}

// oneFits reports whether one of the signatures, with spaces between them, is sum. There
// are several while a secret is being changed.
func oneFits(signatures string, sum []byte) bool {
	fits := false
	for signature := range strings.FieldsSeq(signatures) {
		text, ok := strings.CutPrefix(signature, "v1,")
		given, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && hmac.Equal(given, sum) {
			fits = true
		}
	}
	return fits
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
