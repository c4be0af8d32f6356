package audience

import (
	"context"
	"strings"
)

// An xlsxSearch reads the rows of a worksheet that says who must not be mailed.
type xlsxSearch struct {
	*sheetRows
	columns namedColumns
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
		x.first = first
		return x, rows.withoutNames(opts.Email)
	}

	x.columns, err = newNamedColumns(rows.lines, first, opts.Email)
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

	return b.openSheet(ctx, sheet)
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
	for len(values) < len(x.columns.names) {
		values = append(values, "")
	}

	x.columns.fill(row, values)
	return nil
}
