package report

import (
	"fmt"
	"time"

	"broadside/campaign"
)

// A Run is everything that a report says about one run. MarshalJSON makes the
// JSON document of it.
type Run struct {
	Run      string // id
	Campaign string
	State    campaign.RunState
	Reason   string // why it is paused, held or failed; else empty

	Subject  string   // with the names of merge fields in brackets: what readers have in them is not for others
	From     string   // RFC 5322 mailbox
	Topic    string   // what readers unsubscribe from
	Audience string   // source as the campaign names it: a file or list:NAME
	Accounts []string // ways out
	Parent   string   // id of the run whose recipients are tried again; else empty
	Linked   []string // ids of the runs whose Parent this is, the oldest first

	Canary  *Canary // nil: all of the run may go
	Waiting []Wait  // what keeps it, or part of it, from going on
	// Waves is when recipients get the message by their own clocks, in the order of time;
	// nil: all get it at once.
	Waves []campaign.Wave

	Total   int64           // recipients: valid, distinct, suppressed ones included
	Counts  campaign.Counts // adds up to Total
	After   After
	Skipped campaign.Skipped // rows that are not recipients

	// Times are zero until they have come.
	CreatedAt       time.Time
	FirstAcceptedAt time.Time
	LastAcceptedAt  time.Time // not in the JSON document, but in its rate
	FinishedAt      time.Time
	ReadAt          time.Time // when the counts were read; not in the JSON document

	Parts   []Part       // by mailbox provider, those without recipients left out
	Replies []ReplyCount // most frequent first

	Returns     []Return     // what After counts, by day and provider
	ReturnTexts []ReturnText // most frequent first

	Tracking *Tracking // nil: the campaign counts neither opens nor clicks
}

// A Canary is the first recipients of a run, while all others wait for them.
type Canary struct {
	Recipients int
	GoesOnAt   time.Time // if they went well; zero while some have no answer
}

// String says what is waited for.
func (c Canary) String() string {
	if c.GoesOnAt.IsZero() {
		return fmt.Sprintf("canary: %d first, all others wait for their answers", c.Recipients)
	}
	return fmt.Sprintf("canary: %d tried, goes on at %s", c.Recipients, c.GoesOnAt.UTC().Format(time.RFC3339))
}

// After counts what became of accepted recipients later. It does not change
// their state.
type After struct {
	Delivered    int64 `json:"delivered"` // confirmed by the provider
	Bounced      int64 `json:"bounced"`
	Blocked      int64 `json:"blocked"`
	Complained   int64 `json:"complained"`
	Unsubscribed int64 `json:"unsubscribed"`
}

// A Part is the recipients of a run at one mailbox provider.
type Part struct {
	Provider campaign.Provider
	Total    int64
	Counts   campaign.Counts // adds up to Total
}

// A ReplyCount is how many recipients have the same last reply.
type ReplyCount struct {
	Code     int            // SMTP code; 0 when there was none
	Enhanced string         // RFC 3463, such as 5.1.1; may be empty
	Text     string         // one of the texts; reports show it through Redact
	State    campaign.State // of these recipients
	Count    int64
}

// Rate returns the accepted messages per second between the first and the
// last one; 0 when that is not a stretch of time.
func (r Run) Rate() float64 {
	d := r.LastAcceptedAt.Sub(r.FirstAcceptedAt)
	if r.FirstAcceptedAt.IsZero() || d <= 0 {
		return 0
	}
	return float64(r.Counts[campaign.Accepted]) / d.Seconds()
}

// Rows returns the number of rows that were read of the audience.
func (r Run) Rows() int64 {
	return r.Total + r.Skipped.Rows()
}
