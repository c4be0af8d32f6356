package ledger

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"broadside/campaign"
)

// An AfterCount is how often a kind came back on one day, from one provider, for
// messages of one account.
type AfterCount struct {
	Day     string
	Kind    campaign.EventKind
	Part    int
	Account string // empty: it is not known
	Count   int64
}

// An AfterText is how often something was said.
type AfterText struct {
	Kind  campaign.EventKind
	Text  string // empty: texts for which there was no more room
	Count int64
}

// Afters reads what came back about a run, by day, kind, part and account; and the
// texts, the most frequent first.
func (l *Ledger) Afters(ctx context.Context, r *Run) ([]AfterCount, []AfterText, error) {
	figures, err := l.rdb.HGetAll(ctx, l.afterKey(r)).Result()
	if err != nil {
		return nil, nil, campaign.ReadError(err, "what came back of run "+r.ID, l.afterKey(r))
	}
	said, err := l.rdb.HGetAll(ctx, l.afterTextsKey(r)).Result()
	if err != nil {
		return nil, nil, campaign.ReadError(err, "what came back of run "+r.ID, l.afterTextsKey(r))
	}

	var counts []AfterCount
	for field, n := range figures {
		f := strings.SplitN(field, " ", 4)
		if len(f) < 4 {
			continue
		}
		part, err := strconv.Atoi(f[2])
		if err != nil {
			continue
		}
		counts = append(counts, AfterCount{f[0], campaign.EventKind(f[1]), part, f[3], atoi64(n)})
	}
	slices.SortFunc(counts, func(a, b AfterCount) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Account, b.Account))
	})

	var texts []AfterText
	for field, n := range said {
		kind, text, _ := strings.Cut(field, "\t")
		texts = append(texts, AfterText{campaign.EventKind(kind), text, atoi64(n)})
	}
	slices.SortFunc(texts, func(a, b AfterText) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
	return counts, texts, nil
}
