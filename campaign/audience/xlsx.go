package audience

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
)

// isoDate replaces the date formats that look different on each computer.
const isoDate = "yyyy-mm-dd"

// A sheetRows reads the rows of a worksheet as a person sees them. Its line is the
// number of the row.
type sheetRows struct {
	*lines
	rows *excelize.Rows
	file *workbook
	name string // of the worksheet
}

// readWorkbook reads a whole workbook from a stream that begins like one.
func readWorkbook(s *stream) (*workbook, error) {
	data, err := io.ReadAll(io.LimitReader(s.text, maxWorkbook+1))
	if err != nil {
		return nil, s.fail(0, err)
	}
	if len(data) > maxWorkbook {
		return nil, s.errorf("save the worksheet as CSV", "a workbook of more than %d MiB", maxWorkbook>>20)
	}
	return openWorkbook(s, data)
}

// openSheet begins to read a worksheet that has been checked.
func (b *workbook) openSheet(ctx context.Context, sheet sheetPart) (*sheetRows, error) {
	data, err := b.only(sheet)
	if err != nil {
		return nil, err
	}

	r := &sheetRows{lines: &lines{stream: b.stream, ctx: ctx}, file: b, name: sheet.name}
	err = b.guarded(func() error {
		book, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
			UnzipSizeLimit: maxUnpacked + freeUnpacked, ShortDatePattern: isoDate, LongDatePattern: isoDate, LongTimePattern: "hh:mm:ss",
		})
		if err != nil {
			return err
		}

		b.closers = append(b.closers, book.Close)
		if r.rows, err = book.Rows(sheet.name); err != nil {
			return err
		}

		b.closers = append(b.closers, r.rows.Close)
		return nil
	})
	if err != nil {
		return nil, err
	}

	return r, nil
}

// guarded turns a panic of the library, which a hostile workbook may cause, into an
// error of the workbook.
func (b *workbook) guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = b.damaged("the worksheet", fmt.Errorf("%v", p))
		}
	}()
	if err := do(); err != nil {
		return b.damaged("the worksheet", err)
	}
	return nil
}

// next returns the values of the next row that has any: io.EOF after the last one.
func (r *sheetRows) next() (values []string, err error) {
	err = r.file.guarded(func() error {
		for r.rows.Next() {
			r.n++
			if values, err = r.rows.Columns(); err != nil {
				return err
			}
			if err := r.ctx.Err(); err != nil || !nothing(values) {
				return err
			}
		}

		values = nil
		return r.rows.Error()
	})
	if r.ctx.Err() != nil {
		return nil, r.file.endedOr(r.ctx, err)
	}
	if err != nil {
		return nil, err
	}
	if values == nil {
		return nil, io.EOF
	}

	return r.trimmed(values)
}

// trimmed cuts blank values off the end of a row, where a spreadsheet has more columns
// than the person filled.
func (r *sheetRows) trimmed(values []string) ([]string, error) {
	for _, v := range values {
		if strings.IndexByte(v, 0) >= 0 {
			return nil, r.at(r.n, "a NUL character in a cell", "take it out")
		}
	}
	for len(values) > 0 && strings.TrimSpace(values[len(values)-1]) == "" {
		values = values[:len(values)-1]
	}
	return values, nil
}

// first is next for the row that must be there.
func (r *sheetRows) first() ([]string, error) {
	values, err := r.next()
	if err == io.EOF {
		return nil, r.at(0, fmt.Sprintf("the worksheet %q is empty", r.name), "name another with sheet: NAME, or fill it")
	}
	return values, err
}

// An xlsxDecoder reads the recipients of a worksheet.
type xlsxDecoder struct {
	*sheetRows
	plan *plan
}

// openXLSX opens the worksheet of an audience.
func openXLSX(ctx context.Context, s *stream, opts Options) (*Reader, error) {
	b, err := readWorkbook(s)
	if err != nil {
		return nil, err
	}

	sheet, err := b.sheet(opts.Sheet)
	if err != nil {
		return nil, err
	}

	check, err := b.checkSheet(ctx, sheet)
	if err != nil {
		return nil, err
	}

	if check.hidden > 0 {
		e := b.errorf("show all rows, or copy those that are meant to a worksheet of their own",
			"%d rows of the worksheet %q are hidden, by a filter or by hand: it is not clear whether they are meant", check.hidden, sheet.name)
		e.Line = check.firstHidden
		return nil, e
	}

	rows, err := b.openSheet(ctx, sheet)
	if err != nil {
		return nil, err
	}

	names, err := rows.first()
	if err != nil {
		return nil, err
	}

	p, err := planColumns(rows.lines, names, opts)
	if err != nil {
		return nil, err
	}

	d := &xlsxDecoder{rows, p}
	return newReader(rows.lines, p, d.next), nil
}

func (d *xlsxDecoder) next(row *Row) error {
	values, err := d.sheetRows.next()
	if err != nil {
		return err
	}
	return d.plan.fill(row, d.n, values, ", ")
}
