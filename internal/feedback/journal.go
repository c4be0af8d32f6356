package feedback

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
)

//go:embed lua/note.lua
var noteSource string

// Limits of a journal.
const (
	seenDays    = 3       // for which a notice that comes again costs nothing
	maxSeen     = 500_000 // names a day, about 40 MB
	maxRoads    = 1000    // roads and classes together
	maxRecent   = 200
	maxReason   = 300  // bytes
	notedAtOnce = 1000 // for one script
)

// Labels of what is counted next to the classes of notices.
const (
	labelUntrusted   = "untrusted"
	labelQuarantined = "quarantined"
)

// A Journal keeps for people what came by which road, and for the recorder which notices
// it has seen. Those are work that is saved: a notice that was forgotten changes nothing
// when it comes again. It is safe for concurrent use. Its keys are
//
//	{feedback}:seen:<date>    set of the names of notices
//	{feedback}:counts[:<date>] hash: road TAB class -> how many
//	{feedback}:recent         list of what no one understood or trusted
type Journal struct {
	rdb    redis.UniversalClient
	prefix string
	note   *redis.Script
	now    func() time.Time
}

// NewJournal returns the journal whose keys begin with prefix. lua turns source text into
// a script.
func NewJournal(rdb redis.UniversalClient, prefix string, lua func(src string) *redis.Script) *Journal {
	return &Journal{rdb: rdb, prefix: prefix, note: lua(noteSource), now: time.Now}
}

func (j *Journal) key(rest string) string { return j.prefix + ":{feedback}:" + rest }

// date returns the date of some days ago.
func (j *Journal) date(daysAgo int) string {
	return j.now().UTC().AddDate(0, 0, -daysAgo).Format(time.DateOnly)
}

// nameOf names a notice by the id that its sender gave it; empty without one. A message
// can be about several recipients, and several things can happen to one, unless the id is
// of one use.
func nameOf(n campaign.Notice) string {
	if n.ID == "" {
		return ""
	}
	name := n.ID
	if !n.OneUse {
		name += "\n" + strings.ToLower(n.Recipient) + "\n" + string(n.Class)
	}
	sum := sha256.Sum256([]byte(name))
	return string(sum[:12])
}

// unseen returns the notices that were not noted in the last days; of those with the same
// id of one use the first. On a nil journal these are all.
func (j *Journal) unseen(ctx context.Context, notices []campaign.Notice) ([]campaign.Notice, error) {
	if j == nil {
		return notices, nil
	}
	var at []int
	var names []any
	seen := map[int]bool{}
	used := map[string]bool{}
	for i, n := range notices {
		name := nameOf(n)
		if name == "" {
			continue
		}

		at = append(at, i)
		names = append(names, name)
		seen[i] = n.OneUse && used[name]
		used[name] = true
	}
	if len(names) == 0 {
		return notices, nil
	}

	pipe := j.rdb.Pipeline()
	var days [seenDays]*redis.BoolSliceCmd
	for d := range days {
		days[d] = pipe.SMIsMember(ctx, j.key("seen:"+j.date(d)), names...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look up which notices were seen: %w", err)
	}

	for _, day := range days {
		for k, known := range day.Val() {
			if known {
				seen[at[k]] = true
			}
		}
	}
	var out []campaign.Notice
	for i, n := range notices {
		if !seen[i] {
			out = append(out, n)
		}
	}
	return out, nil
}

// A Recent is something that came, and that no one understood or trusted.
type Recent struct {
	At     time.Time `json:"at"` // when it was recorded
	Source string    `json:"source"`
	Class  string    `json:"class"`
	Reason string    `json:"reason"` // without addresses
}

// note writes findings into the journal.
func (r *Recorder) note(ctx context.Context, all []*finding) error {
	j := r.cfg.Journal
	if j == nil {
		return nil
	}
	var args []any
	for _, f := range all {
		label := string(f.class)
		_, acts := effects[f.class]
		var recent any = ""
		if acts && !f.proven || f.class == campaign.ClassOther {
			recent = j.recent(f.notice.Source, label, f.reason)
		}
		if acts && !f.trusted {
			label = labelUntrusted
		}
		args = append(args, nameOf(f.notice), f.notice.Source+"\t"+label, recent)
	}
	return j.write(ctx, args)
}

// Quarantined notes that a message from a source was put aside, and why.
func (j *Journal) Quarantined(ctx context.Context, source, reason string) error {
	return j.write(ctx, []any{"", source + "\t" + labelQuarantined, j.recent(source, labelQuarantined, reason)})
}

// recent returns a line of the list.
func (j *Journal) recent(source, class, reason string) string {
	reason = strings.ToValidUTF8(address.Redact(reason), "")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	line, err := json.Marshal(Recent{j.now().UTC().Truncate(time.Millisecond), source, class, reason})
	if err != nil {
		return "" // strings and a time: cannot happen
	}
	return string(line)
}

// write writes triples of the arguments of note.lua.
func (j *Journal) write(ctx context.Context, args []any) error {
	const width = 3
	keys := []string{j.key("seen:" + j.date(0)), j.key("counts:" + j.date(0)), j.key("counts"), j.key("recent")}
	for len(args) > 0 {
		n := min(len(args), notedAtOnce*width)
		all := append([]any{(seenDays * 24 * time.Hour).Milliseconds(), maxSeen, maxRoads, maxRecent}, args[:n]...)
		if err := j.note.Run(ctx, j.rdb, keys, all...).Err(); err != nil {
			return fmt.Errorf("note what came back: %w", err)
		}
		args = args[n:]
	}
	return nil
}
