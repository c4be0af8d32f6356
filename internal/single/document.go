package single

import "time"

// A Document is how a single message stands, as programs see it: over HTTP, and on the
// command line.
type Document struct {
	ID        string  `json:"id"`
	MessageID string  `json:"message_id"` // of the message's header, without brackets
	Template  string  `json:"template"`
	State     string  `json:"state"` // pending, sending, deferred, accepted, bounced, failed, suppressed, cancelled or uncertain
	Attempts  int     `json:"attempts"`
	Account   string  `json:"account"` // of the last try; empty: there was none
	Code      int     `json:"code"`    // of the last reply; 0: none came
	Enhanced  string  `json:"enhanced"`
	Reply     string  `json:"reply"`
	CreatedAt *string `json:"created_at"`
	ChangedAt *string `json:"changed_at"`
	NextAt    *string `json:"next_at"` // when it is tried next; null: it is not
}

// DocumentOf returns the document of a message.
func DocumentOf(st Status) Document {
	return Document{
		ID: st.ID, MessageID: st.MessageID, Template: st.Template, State: st.State.String(), Attempts: st.Attempts,
		Account: st.Account, Code: st.Code, Enhanced: st.Enhanced, Reply: st.Reply,
		CreatedAt: stamp(st.Created), ChangedAt: stamp(st.Changed), NextAt: stamp(st.Next),
	}
}

// stamp is RFC 3339 with milliseconds in UTC; nil for no time.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}
