package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

// runPrefix marks a run, or a campaign with all its runs, among the sources of
// addresses.
const runPrefix = "run:"

// Runs knows the recipients of earlier runs.
type Runs interface {
	// Reached adds to seen the recipients who got the message of a run, may have got
	// it, or are getting it. The name of a campaign stands for all its runs: then runs
	// counts those that were read, and expired those whose addresses are no longer kept.
	Reached(ctx context.Context, name string, seen *audience.Seen) (runs, expired int, err error)
}

// An Exclusion says what was found in one source of excluded addresses.
type Exclusion struct {
	Source    string `json:"source"`
	Addresses int    `json:"addresses"`         // distinct ones that no earlier source has
	Runs      int    `json:"runs,omitempty"`    // of a campaign
	Expired   int    `json:"expired,omitempty"` // runs of it whose addresses are no longer kept
}

// Exclusions are the addresses that a run leaves out.
type Exclusions struct {
	Found  []Exclusion // one for each source that was read
	Unread []string    // sources in Redis, where there is none

	addresses audience.Seen
}

// Has reports whether an address is excluded, by its hash. A nil Exclusions has none.
func (x *Exclusions) Has(hash [32]byte) bool { return x != nil && x.addresses.Has(hash) }

// Exclusions reads the addresses that a campaign excludes, and those of more sources
// from the command line. Without Redis its lists and runs are left out, and Offline what
// is on the web. The error has every problem.
func (s Sources) Exclusions(ctx context.Context, def *campaign.Definition, more []string) (*Exclusions, error) {
	x := &Exclusions{}
	var errs []error
	for i, e := range def.Exclude {
		if s.Runs == nil && !isFile(e.Source) || s.Offline && !e.Remote.IsZero() {
			x.Unread = append(x.Unread, e.Source)
			continue
		}
		key := excludeKey(i)
		err := x.add(ctx, s, def, key, e)
		if trouble, ok := errors.AsType[*Trouble](err); ok {
			errs = append(errs, trouble)
		} else if err != nil {
			errs = append(errs, strictyaml.Problems{def.Problem(key, "%v", err)}, otherThanInput(err))
		}
	}

	onDisk := Sources{Lists: s.Lists, Runs: s.Runs}
	for _, source := range more {
		if campaign.IsRemote(source) {
			errs = append(errs, failure.Invalid("--exclude: found an address, expected list:NAME, run:ID or a file: name it in exclude of the campaign file"))
			continue
		}
		err := x.add(ctx, onDisk, &campaign.Definition{Dir: "."}, "", campaign.Exclusion{Source: source})
		if err != nil {
			errs = append(errs, fmt.Errorf("--exclude %s: %w", source, err))
		}
	}

	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	return x, nil
}

// otherThanInput returns an error that is not about what a source has in it. Its kind
// decides the exit code, and a problem of the campaign file would hide it.
func otherThanInput(err error) error {
	if _, ok := errors.AsType[*audience.FileError](err); ok || errors.Is(err, failure.ErrInvalid) || errors.Is(err, ledger.ErrNoRun) {
		return nil
	}
	return err
}

// add reads one source.
func (x *Exclusions) add(ctx context.Context, s Sources, def *campaign.Definition, key string, e campaign.Exclusion) error {
	found := Exclusion{Source: e.Source}
	before := x.addresses.Len()
	var err error
	if list, ok := audience.ListName(e.Source); ok {
		err = x.addList(ctx, s.Lists, list)
	} else if run, ok := strings.CutPrefix(e.Source, runPrefix); ok {
		found.Runs, found.Expired, err = s.Runs.Reached(ctx, run, &x.addresses)
	} else {
		err = x.addFile(ctx, s, def, key, e)
	}

	found.Addresses = x.addresses.Len() - before
	x.Found = append(x.Found, found)

	return err
}

func (x *Exclusions) addList(ctx context.Context, lists *audience.Lists, name string) error {
	return lists.Each(ctx, name, func(r *audience.Row) error {
		x.addresses.Add(r.Address.Hash())
		return nil
	})
}

// addFile reads a file. A row without an address is an error, because the recipient
// that it means would be mailed.
func (x *Exclusions) addFile(ctx context.Context, s Sources, def *campaign.Definition, key string, e campaign.Exclusion) error {
	opts := audience.Options{Email: e.Email, Sheet: e.Sheet, Encoding: e.Encoding}
	from, err := s.excludedRows(ctx, def, key, e, &opts)
	if err != nil {
		return err
	}

	r, err := audience.OpenAddresses(ctx, from, opts)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read

	var row audience.AddressRow
	var without rowsWithoutAddress
	rows := 0
	for {
		err := r.Next(&row)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		rows++
		found := row.Addresses()
		for _, a := range found {
			x.addresses.Add(a.Hash())
		}
		if len(found) == 0 {
			without.add(&row)
		}
	}

	if rows == 0 {
		return r.Problem(0, "no rows; add addresses to it, or remove it from the exclusions")
	}

	if without.n > 0 {
		return r.Problem(without.first, "%d of %d rows have no address, so the people they stand for would be mailed; correct or remove these rows:%s", without.n, rows, without.list())
	}

	return nil
}

// excludedRows returns where the rows of excluded addresses are read from.
func (s Sources) excludedRows(ctx context.Context, def *campaign.Definition, key string, e campaign.Exclusion, opts *audience.Options) (audience.Source, error) {
	if e.Remote.IsZero() {
		return s.rowsOf(ctx, def, key, e.Source, opts)
	}
	return fetch(ctx, def, place{key, "this entry: {file: ..., allow_private: true}"}, e.Remote, opts)
}

// shownWithoutAddress is how many rows without an address are shown one by one.
const shownWithoutAddress = 10

type rowsWithoutAddress struct {
	n     int
	first int    // the line of the first one
	shown string // the first ones, one a line
}

func (w *rowsWithoutAddress) add(row *audience.AddressRow) {
	w.n++
	if w.n == 1 {
		w.first = row.Line
	}
	if w.n <= shownWithoutAddress {
		w.shown += fmt.Sprintf("\n  line %d: %s", row.Line, row.Excerpt())
	}
}

func (w *rowsWithoutAddress) list() string {
	if w.n <= shownWithoutAddress {
		return w.shown
	}
	return fmt.Sprintf("%s\n  and %d more", w.shown, w.n-shownWithoutAddress)
}
