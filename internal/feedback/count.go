package feedback

import (
	"context"
	"regexp"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
)

// effects says what each class counts as, and what it makes of an uncertain
// recipient. Classes without one change nothing.
var effects = map[campaign.Class]struct {
	kind  campaign.EventKind
	state campaign.State
}{
	campaign.ClassDelivered:    {campaign.EventDelivered, campaign.Accepted},
	campaign.ClassHard:         {campaign.EventBounced, campaign.Bounced},
	campaign.ClassSoft:         {campaign.EventBounced, campaign.Accepted},
	campaign.ClassBlocked:      {campaign.EventBlocked, campaign.Accepted},
	campaign.ClassComplaint:    {campaign.EventComplained, campaign.Accepted},
	campaign.ClassUnsubscribed: {campaign.EventUnsubscribed, campaign.Accepted},
}

// count counts findings for their runs, and settles uncertain recipients.
func (r *Recorder) count(ctx context.Context, all []*finding) error {
	byRun := map[*ledger.Record][]*finding{}
	for _, f := range all {
		if _, acts := effects[f.class]; acts && f.trusted && f.run != nil && (f.index >= 0 || f.address != "") {
			byRun[f.run] = append(byRun[f.run], f)
		}
	}

	for run, of := range byRun {
		afters := make([]ledger.After, len(of))
		for i, f := range of {
			afters[i] = f.after()
		}
		counted, err := r.cfg.Ledger.CountAfter(ctx, run.Handle(), afters)
		if err != nil {
			return err
		}
		for i, f := range of {
			f.counted = counted[i]
		}
	}
	return nil
}

// after returns what is counted of a finding. An unsubscribe counts by the address,
// because a link has no more, and others do where the place is not known.
func (f *finding) after() ledger.After {
	effect := effects[f.class]
	at := f.at(f.came) // before the time of the suppression that follows from it
	a := ledger.After{
		Kind: effect.kind, Place: ledger.Place{Part: f.part, Index: f.index}, State: effect.state,
		Day: at.UTC().Format(time.DateOnly), Account: f.account(),
		At: at, Source: f.notice.Source, Said: evidence(f.notice),
	}

	named, err := address.Parse(f.address)
	if err == nil && (f.index < 0 || f.class == campaign.ClassUnsubscribed) {
		hash := named.Hash()
		a.Person = string(hash[:16])
	}
	if f.index < 0 {
		a.Part = campaign.PartOf(named.Domain)
	}

	switch f.class {
	case campaign.ClassHard, campaign.ClassSoft, campaign.ClassBlocked:
		a.Text = pattern(f.notice)
		a.Reply = ledger.Reply{Enhanced: f.notice.Status, Account: a.Account, Text: f.notice.Reply}
	}
	return a
}

// maxPattern is how much of a text is counted, in bytes.
const maxPattern = 200

var (
	// wordsWithDigits are sizes, times, hosts and ids.
	wordsWithDigits = regexp.MustCompile(`[\pL\d_.:/=-]*\d[\pL\d_.:/=-]*`)
	replyCode       = regexp.MustCompile(`^[245](\d\d|\.\d{1,3}\.\d{1,3})$`)
)

// pattern returns what a server said without addresses, and without what differs from one
// reply to the next; the status where it said nothing.
func pattern(n campaign.Notice) string {
	text := strings.Join(strings.Fields(evidence(n)), " ")
	text = wordsWithDigits.ReplaceAllStringFunc(text, func(word string) string {
		if replyCode.MatchString(word) {
			return word
		}
		return "#"
	})
	if len(text) > maxPattern {
		text = text[:maxPattern]
	}
	return strings.ToValidUTF8(text, "")
}
