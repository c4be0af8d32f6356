package audience

import (
	"context"
	"fmt"
	"strings"
)

// An xlsxSearch reads the rows of a worksheet that says who must not be mailed.
type xlsxSearch struct {
	*sheetRows
	header  []string // nil: the first row is one of addresses already
	columns map[string]int
	emails  []int    // the columns of addresses; none: any
	first   []string // a row that has been read already
}

func newXLSXSearch(ctx context.Context, s *stream, opts Options) (*xlsxSearch, error) {
	rows, err := openDoNotMailSheet(ctx, s, opts)
	if err != nil {
		return nil, err
	}
	x := &xlsxSearch{sheetRows: rows}
	first, err := rows.first()
	if err != nil {
		return nil, err
	}
	if isEntry(strings.Join(first, "\n")) {
		if opts.Email != "" {
			return nil, rows.at(rows.n, fmt.Sprintf("no column %q: the first row has an address where the names of the columns should be", opts.Email),
				"put a row with the names first, or leave email away")
		}
		x.first = first
		return x, nil
	}
	h, err := newHeader(rows.lines, first)
	if err != nil {
		return nil, err
	}
	x.header, x.columns = h.names, h.positions()
	x.emails, err = h.doNotMailColumns(opts.Email)
	return x, err
}

// openDoNotMailSheet opens the named worksheet; without a name the only one that is not
// blank, since those on another would be mailed.
func openDoNotMailSheet(ctx context.Context, s *stream, opts Options) (*sheetRows, error) {
	b, err := readWorkbook(s)
	if err != nil {
		return nil, err
	}
	sheet, err := b.sheet(opts.Sheet)
	if err != nil {
		return nil, err
	}
	var filled []string
	for _, other := range b.sheets {
		if opts.Sheet != "" && other != sheet {
			continue
		}
		check, err := b.checkSheet(ctx, other)
		if err != nil {
			return nil, err
		}
		if check.values > 0 {
			filled = append(filled, other.name)
			sheet = other
		}
	}
	if len(filled) > 1 {
		return nil, b.errorf("say which has the addresses: sheet: NAME", "%d worksheets have rows: %s", len(filled), quoteAll(filled))
	}
	return openSheet(ctx, s, b, sheet)
}

func (x *xlsxSearch) next(row *AddressRow) error {
	values := x.first
	x.first = nil
	if values == nil {
		var err error
		if values, err = x.sheetRows.next(); err != nil {
			return err
		}
	}
	*row = AddressRow{Line: x.n, Text: strings.Join(values, ", ")}
	for len(values) < len(x.header) {
		values = append(values, "")
	}
	row.cells = values
	if len(values) == len(x.header) {
		row.columns = x.columns
		row.Named = findIn(values, x.emails)
	}
	return nil
}
