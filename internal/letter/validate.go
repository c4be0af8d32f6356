package letter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/feed"
	"broadside/campaign/sources"
	"broadside/campaign/where"
	"broadside/campaign/window"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/scheduler"
	"broadside/templates"
)

// A Validation says what was found in a campaign that was checked.
type Validation struct {
	Campaign   string `json:"campaign"`
	Source     string `json:"audience"`
	Recipients int64  `json:"recipients"` // distinct valid addresses; suppressions are not looked up
	Invalid    int64  `json:"invalid"`
	Duplicate  int64  `json:"duplicate"`
	Excluded   int64  `json:"excluded"`           // by files, and by lists and runs if there is Redis
	Filtered   int64  `json:"filtered,omitempty"` // audience.where does not hold
	Read       bool   `json:"read"`               // the audience was read; the standard input is not, and what is on another machine

	Rejects []audience.Reject   `json:"rejects"` // the first of Invalid, or all
	Gaps    []Gap               `json:"blanks"`
	Exclude []sources.Exclusion `json:"exclude"` // what was found in each source of exclude
	Unread  []string            `json:"unread"`  // sources of exclude that are in Redis, and were not looked up

	// Warnings are about what is allowed, but probably not intended.
	Warnings strictyaml.Problems `json:"-"`
}

// Validate checks a campaign and everything that it refers to. It returns the first rows
// that cannot be mailed, or all of them. The error has every problem. What the campaign
// names on other machines is not asked for. A list as the
// audience is failure.ErrUnreachable without Redis. The time of a stored campaign is not
// checked again.
func (c Campaign) Validate(ctx context.Context, now time.Time, allRejects bool) (Validation, error) {
	v := Validation{
		Campaign: c.Def.ID, Source: c.Def.Audience.Source, Warnings: c.Def.Warnings(),
		Rejects: []audience.Reject{}, Gaps: []Gap{}, Exclude: []sources.Exclusion{}, Unread: []string{},
	}
	var rows *audience.Reader
	var columns []string
	var audienceErr error
	c.Sources.Offline = true
	if v.Source != "-" && v.Source != "" && c.Def.Audience.Remote.IsZero() {
		if rows, audienceErr = c.audience(ctx); rows != nil {
			defer rows.Close() //nolint:errcheck // only read
			columns = rows.Columns()
		}
	}

	from := c.Sources
	from.Feed = func(context.Context, *campaign.Definition, *time.Location) ([]campaign.FeedItem, error) {
		return feed.Sample(), nil // nothing is fetched
	}
	snapshot, contentErr := Read(ctx, c.Config, c.Def, columns, from)
	warnings, templateErr := checkTemplates(snapshot, rows != nil)
	v.Warnings = append(v.Warnings, warnings...)
	var filter *where.Filter
	var filterErr error
	if rows != nil {
		filter, filterErr = sources.Filter(c.Def, columns)
	}
	hours, windowErr := Window(ctx, c.Config, c.Def, c.Sources, now)
	_, localErr := LocalTime(c.Config, c.Def, columns, hours)
	excluded, excludeErr := c.Sources.Exclusions(ctx, c.Def, nil)
	if excluded != nil {
		v.Unread = append(v.Unread, excluded.Unread...)
	}

	errs := withoutConsequences(c.Faults, []error{
		audienceErr, contentErr, Locate(c.Def, templateErr), c.checkSchedule(now), excludeErr, filterErr, windowErr, localErr,
	})
	err := errors.Join(append([]error{c.Faults}, errs...)...)
	if c.Faults == nil {
		v.Warnings = append(v.Warnings, WarnPostal(c.Config, snapshot)...)
	}

	if rows == nil {
		return v, err
	}

	r := &audienceCheck{Validation: &v, campaign: c, allRejects: allRejects, rows: rows, excluded: excluded, where: filter}
	if err == nil {
		r.gaps, err = NewGapCounter(snapshot)
	}

	return v, errors.Join(err, r.read())
}

// withoutConsequences leaves out errors that follow from the faults of the campaign file:
// problems with the same keys, and content or an audience that the file does not name.
func withoutConsequences(faults error, errs []error) []error {
	var known strictyaml.Problems
	if !errors.As(faults, &known) {
		return errs
	}
	return without(errs, func(p strictyaml.Problem) bool {
		return slices.ContainsFunc(known, func(fault strictyaml.Problem) bool { return follows(p.Key, fault.Key) })
	})
}

// follows reports whether a problem with a key follows from a fault with another key: it
// is the same, or one is within the other.
func follows(key, fault string) bool {
	if fault == "" {
		return false
	}
	return key == fault || strings.HasPrefix(key, fault+".") || strings.HasPrefix(key, fault+"[") || strings.HasPrefix(fault, key+".")
}

// without drops problems from lists of them, however they are joined.
func without(errs []error, drop func(strictyaml.Problem) bool) []error {
	var rest []error
	for _, err := range errs {
		switch e := err.(type) {
		case *failure.Error:
			rest = append(rest, err)
		case strictyaml.Problems:
			if left := slices.DeleteFunc(slices.Clone(e), drop); len(left) > 0 {
				rest = append(rest, left)
			}
		case interface{ Unwrap() []error }:
			rest = append(rest, without(e.Unwrap(), drop)...)
		default:
			rest = append(rest, err)
		}
	}
	return rest
}

// checkTemplates finds the problems of the templates, with unknown merge fields only if
// the columns of the audience are known. The warnings are about the result.
func checkTemplates(s campaign.Snapshot, columnsKnown bool) (warnings strictyaml.Problems, err error) {
	if s.Markdown == "" && s.HTML == "" {
		return nil, nil // the file could not be read, which is a problem already
	}
	if !columnsKnown {
		s.Columns, err = templates.Fields(s)
		if err != nil {
			return nil, err
		}
	}

	t, err := templates.Compile(s)
	if err != nil {
		return nil, err
	}

	for _, p := range t.Warnings(s) {
		warnings = append(warnings, strictyaml.Problem{File: p.File, Line: p.Line, Column: p.Col, Message: p.Text})
	}

	return warnings, nil
}

// Window returns when a run of a campaign may send, from a moment on; nil: always. The
// error says what is wrong with the window, or with its file of holidays.
func Window(ctx context.Context, cfg *configs.Config, def *campaign.Definition, from sources.Sources, now time.Time) (*window.Window, error) {
	if def.Schedule.Window == "" {
		return nil, nil
	}
	clock := scheduler.ZoneOf
	if def.Schedule.Recipient {
		clock = scheduler.FallbackOf // it opens as often by all others
	}
	zone, err := clock(cfg, def)
	if err != nil {
		return nil, err
	}
	if zone == nil && def.Schedule.Recipient {
		return nil, nil // LocalTime says what is missing
	}
	if zone == nil {
		return nil, strictyaml.Problems{def.Problem("schedule.window", "found a window, and no zone whose clock it is by: set timezone in the campaign or in %s", cfg.Where())}
	}
	return from.Window(ctx, def, zone, now)
}

// checkSchedule reads the schedule, if there is one, as the scheduler will.
func (c Campaign) checkSchedule(now time.Time) error {
	if c.Sources.Stored != nil || c.Def.Schedule.IsZero() {
		return nil
	}
	_, err := scheduler.TimingOf(c.Config, c.Def, "", now)
	return err
}

// An audienceCheck reads the audience of a campaign that is checked.
type audienceCheck struct {
	*Validation
	campaign   Campaign
	allRejects bool
	rows       *audience.Reader
	excluded   *sources.Exclusions // nil: not known
	where      *where.Filter       // nil: all rows are sent to, or it has errors
	gaps       *GapCounter         // nil: the templates have errors

	seen audience.Seen
}

// read counts the whole audience.
func (v *audienceCheck) read() error {
	v.Read = true
	var row audience.Row
	for n := int64(1); ; n++ {
		err := v.rows.Next(&row)
		var reject *audience.Reject
		switch {
		case err == nil:
			if err := v.count(n, &row); err != nil {
				return err
			}
		case err == io.EOF:
			return v.end()
		case errors.As(err, &reject):
			v.Invalid++
			if v.allRejects || v.Invalid <= scheduler.ShownRejects {
				v.Rejects = append(v.Rejects, *reject)
			}
		default:
			return err
		}
	}
}

func (v *audienceCheck) count(n int64, row *audience.Row) error {
	hash := row.Address.Hash()
	if !v.seen.Add(hash) {
		v.Duplicate++
		return nil
	}

	if v.excluded.Has(hash) {
		v.Excluded++
		return nil
	}

	if v.where != nil {
		matches, err := v.where.Match(row.Address.String(), row.Values)
		if err != nil {
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
		if !matches {
			v.Filtered++
			return nil
		}
	}

	v.Recipients++
	if v.gaps != nil {
		v.gaps.Count(n, row)
	}
	return nil
}

// end says what was found in the whole audience.
func (v *audienceCheck) end() error {
	if v.excluded != nil {
		v.Exclude = append(v.Exclude, v.excluded.Found...)
	}
	if v.Recipients == 0 {
		return failure.Invalid(fmt.Sprintf("%s: no valid address in it that is sent to", v.Source))
	}
	if v.gaps == nil {
		return nil
	}

	gaps, err := v.gaps.Gaps()
	if err != nil {
		return err
	}

	v.Gaps = append(v.Gaps, gaps...)
	return Strict(v.campaign.Def, gaps)
}
