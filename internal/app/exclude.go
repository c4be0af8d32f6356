package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs/strictyaml"
	"broadside/internal/runs"
)

// An Exclusion is what was found in a source of people who are left out.
type Exclusion struct {
	Source    string `json:"source"`
	Addresses int    `json:"addresses"`         // distinct ones that no source before had
	Runs      int    `json:"runs,omitempty"`    // of a campaign
	Expired   int    `json:"expired,omitempty"` // runs of it whose addresses are not kept any more
}

// exclusions collect who is left out of a run.
type exclusions struct {
	a    *App
	seen audience.Seen
	all  []Exclusion
}

// excluded reads who is left out: the people of lists and files, and who got the
// message of another run, may have got it, or is getting it. All that is wrong comes
// back at once.
func (a *App) excluded(ctx context.Context, def *campaign.Definition, more []string, open opener) (*exclusions, error) {
	x := &exclusions{a: a}
	var errs []error
	for i, e := range def.Exclude {
		if a.Ledger == nil && !isFile(e.Source) {
			continue // a campaign that is checked without Redis
		}
		key := excludeKey(i)
		rows := func() (*audience.AddressReader, error) { return x.openFile(ctx, e, def.Dir) }
		if open != nil {
			rows = func() (*audience.AddressReader, error) { return x.openStored(ctx, e, key, open) }
		}
		if err := x.add(ctx, e.Source, rows); err != nil {
			errs = append(errs, strictyaml.Problems{def.Problem(key, "%v", err)}, unlessInput(err))
		}
	}
	for _, source := range more {
		rows := func() (*audience.AddressReader, error) {
			return x.openFile(ctx, campaign.Exclusion{Source: source}, ".")
		}
		if err := x.add(ctx, source, rows); err != nil {
			errs = append(errs, fmt.Errorf("--exclude %s: %w", source, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return x, nil
}

// unlessInput returns an error that is not about what stands in a file: its kind
// decides the exit code, which that of a problem would hide.
func unlessInput(err error) error {
	if _, ok := errors.AsType[*audience.FileError](err); ok || errors.Is(err, ErrInvalid) || errors.Is(err, ledger.ErrNoRun) {
		return nil
	}
	return err
}

// has is nil where nobody is left out.
func (x *exclusions) has() func([32]byte) bool {
	if len(x.all) == 0 {
		return nil
	}
	return x.seen.Has
}

// add reads one source; open opens it where it is a file.
func (x *exclusions) add(ctx context.Context, source string, open func() (*audience.AddressReader, error)) error {
	e := Exclusion{Source: source}
	before := x.seen.Len()
	var err error
	name, isList := audience.ListName(source)
	run, isRun := strings.CutPrefix(source, "run:")
	switch {
	case isList:
		err = x.a.Lists.Each(ctx, name, func(r *audience.Row) error { x.seen.Add(r.Address.Hash()); return nil })
	case isRun:
		err = x.addRun(ctx, run, &e)
	default:
		err = x.addFile(open)
	}
	e.Addresses = x.seen.Len() - before
	x.all = append(x.all, e)
	return err
}

func (x *exclusions) openFile(ctx context.Context, e campaign.Exclusion, dir string) (*audience.AddressReader, error) {
	path := e.Source
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return audience.OpenAddresses(ctx, audience.Source{Path: path}, audience.Options{Email: e.Email, Sheet: e.Sheet, Encoding: e.Encoding})
}

func (x *exclusions) openStored(ctx context.Context, e campaign.Exclusion, key string, open opener) (*audience.AddressReader, error) {
	f, err := open(key, e.Source)
	if err != nil {
		return nil, err
	}
	opts := audience.Options{Email: e.Email, Sheet: e.Sheet, Encoding: e.Encoding, File: e.Source}
	return audience.OpenAddresses(ctx, audience.Source{Path: "-", Reader: &selfClosing{f}}, opts)
}

// maxUnread is how many rows without an address are named one by one.
const maxUnread = 10

// addFile reads a file. A row without an address is an error: whom it means is not
// known, and they would be mailed.
func (x *exclusions) addFile(open func() (*audience.AddressReader, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	var row audience.AddressRow
	var unread unreadRows
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
			x.seen.Add(a.Hash())
		}
		if len(found) == 0 {
			unread.add(&row)
		}
	}
	if rows == 0 {
		return r.Problem(0, "no rows; put somebody in it, or leave the file out")
	}
	if unread.n > 0 {
		return r.Problem(unread.first, "%d of %d rows have no address, and whom they mean would be mailed; correct them or take them out:%s", unread.n, rows, unread.list())
	}
	return nil
}

// unreadRows are those without an address.
type unreadRows struct {
	n, first int // how many, and the line of the first one
	text     string
}

func (u *unreadRows) add(row *audience.AddressRow) {
	u.n++
	if u.n == 1 {
		u.first = row.Line
	}
	if u.n <= maxUnread {
		u.text += fmt.Sprintf("\n  line %d: %s", row.Line, row.Excerpt())
	}
}

// list has the first rows, one a line.
func (u *unreadRows) list() string {
	if u.n <= maxUnread {
		return u.text
	}
	return fmt.Sprintf("%s\n  and %d more", u.text, u.n-maxUnread)
}

// addRun takes a campaign, for all its runs whose addresses are kept, or a run. The
// runs that are linked to a run belong to it: who got the message by one of them has
// it.
func (x *exclusions) addRun(ctx context.Context, name string, e *Exclusion) error {
	ids, err := x.a.Ledger.List(ctx, name)
	if err != nil {
		return err
	}
	if name != "" && len(ids) > 0 {
		return x.addCampaign(ctx, name, ids, e)
	}
	id, err := x.a.Ledger.Find(ctx, name)
	if err != nil {
		return err
	}
	rec, err := x.a.Ledger.Record(ctx, id)
	if err != nil {
		return err
	}
	if _, err := x.a.Runs.Handle(ctx, rec.ID); err != nil {
		return err
	}
	linked, err := x.a.Runs.Linked(ctx, rec)
	if err != nil {
		return err
	}
	return x.a.Runs.Collect(ctx, append(linked, rec), &x.seen, reached)
}

// addCampaign adds whom any run of a campaign has reached.
func (x *exclusions) addCampaign(ctx context.Context, name string, ids []string, e *Exclusion) error {
	for _, id := range ids {
		rec, err := x.a.Ledger.Record(ctx, id)
		if ledger.Gone(err) {
			continue // it came to nothing just now
		}
		if err != nil {
			return err
		}
		if rec.Handle() == nil {
			continue // it sent to nobody
		}
		switch err := x.a.Runs.Collect(ctx, []*ledger.Record{rec}, &x.seen, reached); {
		case errors.Is(err, runs.ErrExpired):
			e.Expired++
		case err != nil:
			return err
		default:
			e.Runs++
		}
	}
	switch {
	case e.Runs > 0:
		return nil
	case e.Expired > 0:
		return invalid(fmt.Sprintf("the addresses of all runs of campaign %s have expired (retention.addresses is %s)", name, x.a.Config.Retention.Addresses))
	}
	return invalid(fmt.Sprintf("no run of campaign %s has recipients", name))
}

// reached reports whether somebody in that state has got the message, may have got
// it, or is getting it.
func reached(s campaign.State) bool {
	return s == campaign.Accepted || s == campaign.Uncertain || s == campaign.Sending
}
