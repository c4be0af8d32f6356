package app

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
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/scheduler"
	"broadside/templates"
)

// A Validated says what a valid campaign comes to.
type Validated struct {
	Campaign   string `json:"campaign"`
	Source     string `json:"audience"`
	Recipients int64  `json:"recipients"` // distinct valid addresses; suppressions are not looked up
	Invalid    int64  `json:"invalid"`
	Duplicate  int64  `json:"duplicate"`
	Excluded   int64  `json:"excluded"` // by files, and by what is in Redis where there is one
	Read       bool   `json:"read"`     // the audience was read; it is not when it is the standard input

	Rejects []audience.Reject `json:"rejects"` // the first of Invalid, or all
	Blanks  []Blank           `json:"blanks"`  // sentences with a gap
	Exclude []Exclusion       `json:"exclude"` // what was found in each source of exclude

	// Warnings are about what is allowed, and most probably not meant.
	Warnings strictyaml.Problems `json:"-"`
}

// Validate checks a campaign and everything that it refers to, without sending.
// The error has every problem. A list as the audience is ErrUnreachable where
// there is no Redis. The time of a stored campaign was checked when it was stored.
func Validate(ctx context.Context, proof Proof, now time.Time) (Validated, error) {
	def := proof.Def
	v := Validated{
		Campaign: def.ID, Source: def.Audience.Source, Warnings: def.Warnings(),
		Rejects: []audience.Reject{}, Blanks: []Blank{}, Exclude: []Exclusion{},
	}
	var errs []error
	var rows *audience.Reader
	var err error
	if v.Source != "-" && v.Source != "" {
		rows, err = proof.audience(ctx)
		errs = append(errs, err)
	}
	var columns []string
	if rows != nil {
		defer rows.Close() //nolint:errcheck // only read
		columns = rows.Columns()
	}
	snapshot, err := proof.snapshot(ctx, columns)
	warnings, templateErr := checkTemplates(snapshot, rows != nil)
	v.Warnings = append(v.Warnings, warnings...)
	errs = append(errs, err, placed(def, templateErr))
	if proof.Stored == nil {
		errs = append(errs, checkSchedule(proof.Config, def, now))
	}
	x, err := proof.excluded(ctx)
	errs = append(errs, err)
	errs = append([]error{proof.Faults}, beyond(proof.Faults, errs)...)
	if proof.Faults == nil {
		v.Warnings = append(v.Warnings, noPostal(proof.Config, snapshot)...)
	}
	if rows != nil {
		r := &validation{Validated: &v, proof: proof, rows: rows, excluded: x}
		if errors.Join(errs...) == nil {
			r.blanks, err = newBlanks(snapshot)
			errs = append(errs, err)
		}
		errs = append(errs, r.read())
	}
	return v, errors.Join(errs...)
}

// excluded reads who is left out, as far as that can be known here: lists and runs
// are in Redis.
func (p Proof) excluded(ctx context.Context) (*exclusions, error) {
	a := p.App
	if a == nil {
		a = &App{Config: p.Config}
	}
	return a.excluded(ctx, p.Def, nil, a.opener(ctx, p.Stored))
}

// beyond leaves out what follows from the faults of the campaign file: problems
// with the same keys, and content or an audience that it does not name.
func beyond(faults error, errs []error) []error {
	var known strictyaml.Problems
	if !errors.As(faults, &known) {
		return errs
	}
	return without(errs, func(p strictyaml.Problem) bool {
		return slices.ContainsFunc(known, func(k strictyaml.Problem) bool {
			return k.Key != "" && (k.Key == p.Key || strings.HasPrefix(p.Key, k.Key+".") || strings.HasPrefix(p.Key, k.Key+"[") || strings.HasPrefix(k.Key, p.Key+"."))
		})
	})
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

// checkTemplates finds the problems of the templates; unknown merge fields only
// when the columns are known. The warnings are about what they make.
func checkTemplates(s campaign.Snapshot, columnsKnown bool) (warnings strictyaml.Problems, err error) {
	if s.Markdown == "" && s.HTML == "" {
		return nil, nil // the file could not be read, which was said
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

// checkSchedule reads the schedule, if there is one, as the scheduler will.
func checkSchedule(cfg *configs.Config, def *campaign.Definition, now time.Time) error {
	if def.Schedule.IsZero() {
		return nil
	}
	_, err := scheduler.TimingOf(cfg, def, "", now)
	return err
}

// A validation reads the audience of a campaign that is checked.
type validation struct {
	*Validated
	proof    Proof
	rows     *audience.Reader
	excluded *exclusions // nil: not known
	blanks   *blanks     // nil: the templates are not right

	seen audience.Seen
}

// read counts the whole audience.
func (v *validation) read() error {
	v.Read = true
	var row audience.Row
	for n := int64(1); ; n++ {
		err := v.rows.Next(&row)
		var reject *audience.Reject
		switch {
		case err == nil:
			v.take(n, &row)
		case err == io.EOF:
			return v.end()
		case errors.As(err, &reject):
			if v.Invalid++; v.proof.AllRejects || v.Invalid <= scheduler.ShownRejects {
				v.Rejects = append(v.Rejects, *reject)
			}
		default:
			return err
		}
	}
}

func (v *validation) take(n int64, row *audience.Row) {
	hash := row.Address.Hash()
	switch {
	case !v.seen.Add(hash):
		v.Duplicate++
	case v.excluded != nil && v.excluded.seen.Has(hash):
		v.Excluded++
	default:
		v.Recipients++
		if v.blanks != nil {
			v.blanks.count(n, row)
		}
	}
}

// end says what the audience comes to.
func (v *validation) end() error {
	if v.excluded != nil {
		v.Exclude = append(v.Exclude, v.excluded.all...)
	}
	if v.Recipients == 0 {
		return invalid(fmt.Sprintf("%s: no valid address in it that is not excluded", v.Source))
	}
	if v.blanks == nil {
		return nil
	}
	found, err := v.blanks.found()
	v.Blanks = append(v.Blanks, found...)
	if err != nil || !v.proof.Def.Content.Strict {
		return err
	}
	return strictly(v.proof.Def, found)
}
