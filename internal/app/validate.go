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
	"broadside/templates"
)

// A Validated says what a valid campaign comes to.
type Validated struct {
	Campaign   string `json:"campaign"`
	Source     string `json:"audience"`
	Recipients int64  `json:"recipients"` // distinct valid addresses; suppressions are not looked up
	Invalid    int64  `json:"invalid"`
	Duplicate  int64  `json:"duplicate"`
	Read       bool   `json:"read"` // the audience was read; it is not when it is the standard input

	// Warnings are about what is allowed, and most probably not meant.
	Warnings configs.Problems `json:"-"`
}

// Validate checks a campaign and everything that it refers to, without sending.
// The error has every problem. A list as the audience is ErrUnreachable where
// there is no Redis. The time of a stored campaign was checked when it was stored.
func Validate(ctx context.Context, proof Proof, now time.Time) (Validated, error) {
	def := proof.Def
	v := Validated{Campaign: def.ID, Source: def.Audience.Source, Warnings: def.Warnings()}
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
	doubts, templateErr := checkTemplates(snapshot, rows != nil)
	v.Warnings = append(v.Warnings, doubts...)
	errs = append(errs, err, placed(def, templateErr))
	if proof.Stored == nil {
		errs = append(errs, checkSchedule(proof.Config, def, now))
	}
	errs = append([]error{proof.Faults}, beyond(proof.Faults, errs)...)
	if rows != nil {
		errs = append(errs, v.read(rows))
	}
	return v, errors.Join(errs...)
}

// beyond leaves out what follows from the faults of the campaign file: problems
// with the same keys, and content or an audience that it does not name.
func beyond(faults error, errs []error) []error {
	var known configs.Problems
	if !errors.As(faults, &known) {
		return errs
	}
	return without(errs, func(p configs.Problem) bool {
		return slices.ContainsFunc(known, func(k configs.Problem) bool {
			return k.Key != "" && (k.Key == p.Key || strings.HasPrefix(p.Key, k.Key+".") || strings.HasPrefix(p.Key, k.Key+"[") || strings.HasPrefix(k.Key, p.Key+"."))
		})
	})
}

// without drops problems from lists of them, however they are joined.
func without(errs []error, drop func(configs.Problem) bool) []error {
	var rest []error
	for _, err := range errs {
		switch e := err.(type) {
		case *kindError:
			rest = append(rest, err)
		case configs.Problems:
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
func checkTemplates(s campaign.Snapshot, columnsKnown bool) (warnings configs.Problems, err error) {
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
		warnings = append(warnings, configs.Problem{File: p.File, Line: p.Line, Column: p.Col, Message: p.Text})
	}
	return warnings, nil
}

// checkSchedule reads the schedule, if there is one, as the scheduler will.
func checkSchedule(cfg *configs.Config, def *campaign.Definition, now time.Time) error {
	if def.Schedule.IsZero() {
		return nil
	}
	_, err := Timing(cfg, def, "", now)
	return err
}

// read counts the whole audience.
func (v *Validated) read(rows *audience.Reader) error {
	v.Read = true
	var seen audience.Seen
	var row audience.Row
	for {
		err := rows.Next(&row)
		var reject *audience.Reject
		switch {
		case err == nil && seen.Add(row.Address.Hash()):
			v.Recipients++
		case err == nil:
			v.Duplicate++
		case err == io.EOF && v.Recipients == 0:
			return invalid(fmt.Sprintf("%s: no valid address in it", v.Source))
		case err == io.EOF:
			return nil
		case errors.As(err, &reject):
			v.Invalid++
		default:
			return err
		}
	}
}
