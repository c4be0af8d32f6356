package campaign

// A Snapshot is everything that the messages of a run are made from, stored
// with the run when it is created: editing a file afterwards changes nothing.
// It is stored as JSON.
type Snapshot struct {
	Campaign  string `json:"campaign"`
	Topic     string `json:"topic"`
	TopicName string `json:"topic_name"` // what readers see; the topic when none is declared
	From      string `json:"from"`       // RFC 5322 mailbox
	ReplyTo   string `json:"reply_to,omitempty"`
	Subject   string `json:"subject"`             // template
	Preheader string `json:"preheader,omitempty"` // template
	Markdown  string `json:"markdown,omitempty"`  // body template; exactly one of Markdown and HTML
	HTML      string `json:"html,omitempty"`
	Text      string `json:"text,omitempty"` // template of the text part; empty: made from the HTML
	BodyFile  string `json:"body_file"`      // names for messages about errors
	TextFile  string `json:"text_file,omitempty"`
	Layout    string `json:"layout"`
	Language  string `json:"language,omitempty"` // of the letter and of readers' pages; empty: the campaign says nothing of it
	Logo      string `json:"logo,omitempty"`     // URL of the image above the letter; empty: the sender's name
	Postal    string `json:"postal_address"`
	PublicURL string `json:"public_url"`  // what readers' links begin with, without a final slash
	ReturnTo  string `json:"return_path"` // VERP domain; empty: the From address
	// TokenHeader names a header for the message's token, for relays whose webhooks repeat
	// nothing else that is ours; empty: none.
	TokenHeader string   `json:"token_header,omitempty"`
	Columns     []string `json:"columns"` // merge fields, in the order of the rows' values
	// FeedItems are the ids of the items of its feed that are new with this run. The items
	// themselves are in the texts already.
	FeedItems []string `json:"feed_items,omitempty"`
	// Single is set for messages to one address that answer something that it did: they
	// belong to no list, and have nothing to unsubscribe from.
	Single bool `json:"single,omitempty"`
	// Tracking says what is counted of readers. In a run that resends, it is counted for
	// the run that sent first.
	Tracking Tracking `json:"tracking,omitzero"`
	// Origin is the run that sent these messages first, in a run that resends them.
	// Then each row has its place in that run in its Meta.
	Origin   string   `json:"origin,omitempty"`
	Accounts []string `json:"accounts"`          // never empty
	Weights  Weights  `json:"weights,omitempty"` // of Accounts; none in runs made before there were any
	Rate     float64  `json:"rate"`              // campaign rate per second; 0 is no limit
	// SpreadRate is the rate at which this run's messages leave evenly over its spread; 0: it
	// has none.
	SpreadRate float64 `json:"spread_rate,omitempty"`
	// Hours is when each recipient may get the message, by their own clock; nil: at any time.
	Hours *Hours `json:"hours,omitempty"`
}

// Pace returns the rate of the run in messages a second; 0: it has none of its own.
func (s Snapshot) Pace() float64 {
	if s.Rate > 0 && s.SpreadRate > 0 {
		return min(s.Rate, s.SpreadRate)
	}
	return max(s.Rate, s.SpreadRate)
}
