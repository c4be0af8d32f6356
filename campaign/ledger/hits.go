package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
)

// HoldClicks is how long the clicks of one reader are held, from the first of them, until
// they are judged together: a machine follows the links of a letter within seconds.
const HoldClicks = 10 * time.Second

const (
	// hitsAtOnce is how many go to one script.
	hitsAtOnce = 500
	// judgedAtOnce is how many readers one script judges.
	judgedAtOnce = 500
	// maxHeldClicks is how many characters the held clicks of one reader may have: some
	// five hundred clicks.
	maxHeldClicks = 4000
)

// A Hit is one request for a link or for the picture of a message.
type Hit struct {
	Place

	Link, Links int    // of a click: the number of the link, and how many the letter has; 0: an open
	Proxy       string // of an open: whose proxy asked for the picture; empty: it was no one's
	Alone       bool   // the proxy asks for pictures although no one opens the message
	Machine     string // why it is known that no reader did it; empty: one may have
}

// HitCounts are the hits of a run. The numbers of people are within about 1 %.
type HitCounts struct {
	Opens    []OpenCount
	Clicks   map[int]int64 // by part
	Links    map[int]int64 // clicks by the number of the link
	Machines []MachineCount

	Opened, Proxied, Clicked int64 // people who opened, were opened for by a proxy alone, clicked
	Held                     int64 // readers with clicks that are not judged yet
}

// An OpenCount is how many opens came from the people of a part by a proxy.
type OpenCount struct {
	Part  int
	Proxy string // empty: no one's
	Alone bool   // as in Hit
	Count int64
}

// A MachineCount is how many hits were no reader's, for one reason.
type MachineCount struct {
	Click  bool
	Reason string
	Count  int64
}

func (l *Ledger) hitsKey(r *Run) string { return l.runKey(r.ID, r.Attempt+":hits") }

// hitKeys returns all keys of the hits of a run, in the order of the script.
func (l *Ledger) hitKeys(r *Run) []string {
	base := l.hitsKey(r)
	return []string{base, base + ":opened", base + ":proxied", base + ":clicked", base + ":held", base + ":due"}
}

// CountHits counts hits, and judges the clicks that were held until now. It returns for how
// many readers there are held ones, -1 when the run is gone, and how many of the hits it
// has counted. After an error the next ones (some hundred at most) may have been counted
// too: who repeats them may count them twice.
func (l *Ledger) CountHits(ctx context.Context, r *Run, hits []Hit, now time.Time) (held int64, counted int, err error) {
	for {
		some := hits[counted:min(counted+hitsAtOnce, len(hits))]
		held, err = l.countHits(ctx, r, some, now)
		if err != nil {
			return 0, counted, fmt.Errorf("count opens and clicks of run %s: %w", r.ID, err)
		}
		counted += len(some)
		if counted == len(hits) {
			return held, counted, nil
		}
	}
}

func (l *Ledger) countHits(ctx context.Context, r *Run, hits []Hit, now time.Time) (int64, error) {
	args := []any{now.UnixMilli(), HoldClicks.Milliseconds(), judgedAtOnce, maxHeldClicks}
	figures := map[string]int64{}
	for _, h := range hits {
		if _, _, ok := r.place(h.Part, h.Index); !ok {
			continue // made for another run with the same reference
		}
		reader := itoa(h.Part) + ":" + itoa(h.Index)
		switch {
		case h.Machine != "" && h.Link > 0:
			figures["machine click "+h.Machine]++
		case h.Machine != "":
			figures["machine open "+h.Machine]++
		case h.Link > 0:
			args = append(args, "c", reader, itoa(h.Link)+":"+itoa(h.Links))
		case h.Alone:
			args = append(args, "p", reader, "")
			figures["proxied "+itoa(h.Part)+" "+h.Proxy]++
		default:
			args = append(args, "o", reader, "")
			figures["open "+itoa(h.Part)+" "+h.Proxy]++
		}
	}
	for field, n := range figures {
		args = append(args, "n", field, n)
	}

	keys := append([]string{l.runKey(r.ID, "record")}, l.hitKeys(r)...)
	return l.run(ctx, l.script.hits, keys, args...).Int64()
}

// Hits reads the hits of a run.
func (l *Ledger) Hits(ctx context.Context, r *Run) (*HitCounts, error) {
	keys := l.hitKeys(r)
	what := "opens and clicks of run " + r.ID
	figures, err := l.rdb.HGetAll(ctx, keys[0]).Result()
	if err != nil {
		return nil, campaign.ReadError(err, what, keys[0])
	}

	h := &HitCounts{Clicks: map[int]int64{}, Links: map[int]int64{}}
	for field, text := range figures {
		h.read(strings.SplitN(field, " ", 3), atoi64(text))
	}
	slices.SortFunc(h.Opens, func(a, b OpenCount) int {
		return strings.Compare(fmt.Sprintf("%3d %t %s", a.Part, a.Alone, a.Proxy), fmt.Sprintf("%3d %t %s", b.Part, b.Alone, b.Proxy))
	})
	slices.SortFunc(h.Machines, func(a, b MachineCount) int {
		return strings.Compare(fmt.Sprintf("%t %s", a.Click, a.Reason), fmt.Sprintf("%t %s", b.Click, b.Reason))
	})

	for i, n := range []*int64{&h.Opened, &h.Proxied, &h.Clicked} {
		if *n, err = l.rdb.PFCount(ctx, keys[1+i]).Result(); err != nil {
			return nil, campaign.ReadError(err, what, keys[1+i])
		}
	}
	if h.Held, err = l.rdb.ZCard(ctx, keys[5]).Result(); err != nil {
		return nil, campaign.ReadError(err, what, keys[5])
	}
	return h, nil
}

// read takes in one figure; what a later version may have written is left out.
func (h *HitCounts) read(field []string, n int64) {
	if len(field) < 2 {
		return
	}
	number, err := strconv.Atoi(field[1])
	switch {
	case field[0] == "machine" && len(field) == 3:
		h.Machines = append(h.Machines, MachineCount{Click: field[1] == "click", Reason: field[2], Count: n})
	case err != nil:
	case field[0] == "click":
		h.Clicks[number] += n
	case field[0] == "link":
		h.Links[number] += n
	case len(field) == 3 && (field[0] == "open" || field[0] == "proxied"):
		h.Opens = append(h.Opens, OpenCount{Part: number, Proxy: field[2], Alone: field[0] == "proxied", Count: n})
	}
}
