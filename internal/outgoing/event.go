package outgoing

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
	"broadside/internal/report"
)

// An Event is something that happened, as it is told.
type Event struct {
	ID   string // the webhook-id
	Type campaign.WebhookEvent
	body []byte
}

// An envelope is the body of a request.
type envelope struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"` // when we came to know of it
	Data      any    `json:"data"`
}

// timeForm is RFC 3339 with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

func timeText(t time.Time) string { return t.UTC().Format(timeForm) }

func newEvent(id string, kind campaign.WebhookEvent, now time.Time, data any) (Event, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(envelope{string(kind), timeText(now), data})
	if err != nil {
		return Event{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	return Event{ID: id, Type: kind, body: bytes.TrimRight(b.Bytes(), "\n")}, nil
}

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// idOf returns a webhook-id that is the same for the same words. Installations may share
// a receiver, so the namespace is one of them.
func idOf(namespace string, words ...string) string {
	sum := sha256.Sum256([]byte(namespace + "\x00" + strings.Join(words, "\x00")))
	return "msg_" + idEncoding.EncodeToString(sum[:15])
}

// typeOf is the event of a run that came into a state; empty for none.
func typeOf(state campaign.RunState) campaign.WebhookEvent {
	switch state {
	case campaign.Finished:
		return campaign.WebhookRunFinished
	case campaign.RunFailed:
		return campaign.WebhookRunFailed
	case campaign.RunCancelled:
		return campaign.WebhookRunCancelled
	case campaign.Paused:
		return campaign.WebhookRunPaused
	case campaign.Held:
		return campaign.WebhookRunHeld
	}
	return ""
}

// ofTurn is the event of a run that was stopped. Its data is what `run show --json`
// prints, with the state and the reason of that moment.
func ofTurn(namespace string, run report.Run, turn ledger.Turn, now time.Time) (Event, error) {
	run.State = turn.State
	run.Reason = turn.Reason
	id := idOf(namespace, "turn", run.Run, strconv.FormatInt(turn.Number, 10))
	return newEvent(id, typeOf(turn.State), now, run)
}

// ofEnd is the event of a run that is over.
func ofEnd(namespace string, run report.Run, now time.Time) (Event, error) {
	id := idOf(namespace, "end", run.Run, string(run.State), timeText(run.FinishedAt))
	return newEvent(id, typeOf(run.State), now, run)
}

// missedData is the data of what is told about times of a schedule that were missed.
type missedData struct {
	Campaign string  `json:"campaign"`
	Topic    string  `json:"topic"`
	At       string  `json:"at"`
	Until    *string `json:"until"` // the last of several
	Times    int64   `json:"times"`
	Reason   string  `json:"reason"`
}

// ofMissed is the event of a run that was not made in time.
func ofMissed(namespace string, o campaign.MissedOccurrence) (Event, error) {
	d := missedData{Campaign: o.Campaign, Topic: o.Topic, At: timeText(o.At), Times: o.Times, Reason: o.Reason}
	if !o.Until.IsZero() {
		until := timeText(o.Until)
		d.Until = &until
	}
	id := idOf(namespace, "missed", o.Campaign, timeText(o.At))
	return newEvent(id, campaign.WebhookRunMissed, o.Recorded, d)
}

// recipientData is the data of what is told about one recipient.
type recipientData struct {
	Recipient string            `json:"recipient"`
	Run       string            `json:"run"`
	Campaign  string            `json:"campaign"`
	Topic     string            `json:"topic"`
	Provider  campaign.Provider `json:"provider"`
	Account   string            `json:"account"`
	Permanent *bool             `json:"permanent,omitempty"` // of a bounce
	Code      int               `json:"code"`
	Enhanced  string            `json:"enhanced"`
	Reply     string            `json:"reply"`
	At        string            `json:"at"`
	Source    string            `json:"source"`
}

func ofRecipient(namespace string, e campaign.RecipientEvent, now time.Time) (Event, error) {
	d := recipientData{
		Recipient: e.Address, Run: e.Run, Topic: e.Topic, Account: e.Account,
		Code: e.Code, Enhanced: e.Enhanced, Reply: e.Reply, At: timeText(e.At), Source: e.Source,
	}
	if e.Run != "" {
		d.Campaign = campaign.OfRun(e.Run)
	}
	if e.Event == campaign.WebhookBounced {
		d.Permanent = &e.Permanent
	}

	who := strings.ToLower(e.Address)
	if a, err := address.Parse(e.Address); err == nil {
		who = a.Canonical()
		d.Provider = campaign.ProviderOf(a.Domain)
	}

	words := []string{string(e.Event), e.Run}
	if e.Run != "" && e.Index >= 0 {
		words = append(words, strconv.Itoa(e.Part), strconv.Itoa(e.Index))
	} else {
		words = append(words, who, e.Name)
	}
	switch e.Event {
	case campaign.WebhookUnsubscribed:
		words = append(words, e.Topic)
	case campaign.WebhookBounced: // for good may come after for now
		words = append(words, strconv.FormatBool(e.Permanent))
	}
	return newEvent(idOf(namespace, words...), e.Event, now, d)
}

// testType is the type of what `webhook test` sends.
const testType campaign.WebhookEvent = "test"

// ofTest is an event that says that nothing happened.
func ofTest(id string, now time.Time) (Event, error) {
	return newEvent(id, testType, now, struct {
		Message string `json:"message"`
	}{"This is a test of Broadside: nothing has happened."})
}

// about is what a body says it is about.
type about struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Run       string `json:"run"`
		Recipient string `json:"recipient"`
	} `json:"data"`
}

// aboutOf reads a body of ours; what cannot be read is empty.
func aboutOf(body []byte) about {
	var a about
	_ = json.Unmarshal(body, &a) // an empty one says as much
	return a
}
