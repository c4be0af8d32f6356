package audience

import (
	"context"
	"fmt"
	"io"
	"strings"

	"broadside/campaign/address"
)

// Limits of what is read.
const (
	maxLine    = 1 << 20  // bytes of a line, and of a row of several lines
	maxRow     = 64 << 10 // bytes of the values of one row
	maxColumns = 256
	maxHeader  = 1 << 10   // bytes of the name of a column
	maxRatio   = 200       // bytes of text for one compressed byte: lists have 3 to 30
	freeText   = 256 << 20 // bytes of text that any file may have
	maxShown   = 200       // bytes of a Reject's Value
)

// A Row is one recipient. Its strings may be kept; the array of Values belongs
// to the Row and is used again when the Row is.
type Row struct {
	Line    int // of the file, from 1; in a list the number of the row
	Address address.Address
	Values  []string // one for each of the Reader's Columns
	Meta    *Meta    // of a recipient of a run; nil: nothing is known
}

// A Reject is a row that cannot be mailed. As an error of Next it means that
// reading can continue.
type Reject struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"` // a short phrase
	Value  string `json:"value"`  // what was refused, cut to 200 bytes
}

func (r *Reject) Error() string { return fmt.Sprintf("line %d: %s: %q", r.Line, r.Reason, r.Value) }

// A FileError is a fault of the file as a whole: none of its rows should be used.
type FileError struct {
	File string // as the user named it
	Line int    // from 1; 0 when the fault has no line
	What string // what was found
	Fix  string // what to do
	Err  error  // the cause, where there is one
}

// Error returns FILE:LINE: WHAT; FIX.
func (e *FileError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}

	b.WriteString(": " + e.What)
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}

	return b.String()
}

func (e *FileError) Unwrap() error { return e.Err }

// A Source says where the rows come from.
type Source struct {
	Path   string    // a file, or "-" for Reader
	Reader io.Reader // read when Path is "-"
	Closer io.Closer // closes what Reader reads, with the reading; nil: the caller does
	Name   string    // of Reader: a file name, whose ending says the format; empty: the content alone does
}

// Options say how a file is to be read. The zero value suits a UTF-8 file
// with one column that looks like an address column by its name.
type Options struct {
	Email    string            // header of the address column; empty: the one that fits
	Columns  map[string]string // merge field -> header; other headers become snake_case fields
	Sheet    string            // worksheet of a workbook; empty: the first that is not hidden
	Encoding string            // IANA name of the charset; empty: UTF-8
	File     string            // the name in messages; empty: the path
}

// A Reader reads the rows of one source. It is not safe for several goroutines.
type Reader struct {
	name        string
	columns     []string
	next        func(*Row) error // its errors are io.EOF, *Reject, *FileError, or those of the reading itself
	close       func() error
	rows        int
	rejects     int
	firstReject *Reject
	err         error // what ended the reading
}

// Open opens a file or a stream and reads its header. ctx covers the reading
// too: Next returns its error once it has ended.
func Open(ctx context.Context, src Source, opts Options) (*Reader, error) {
	s, err := openStream(ctx, src, opts)
	if err != nil {
		return nil, err
	}

	r, err := openRows(ctx, s, src, opts)
	if err != nil {
		s.Close()
		return nil, err
	}

	return r, nil
}

func openRows(ctx context.Context, s *stream, src Source, opts Options) (*Reader, error) {
	if s.format == formatXLSX {
		return openXLSX(ctx, s, opts)
	}

	l := newLines(ctx, s)
	first, err := l.firstLine()
	if err != nil {
		return nil, err
	}

	isJSONL, err := l.isJSONL(first)
	if err != nil {
		return nil, err
	}

	if isJSONL {
		return openJSONL(ctx, src, opts, l, first)
	}

	d, err := newCSV(l, first, opts)
	if err != nil {
		return nil, err
	}

	return newReader(l, d.plan, d.next), nil
}

func newReader(l *lines, p *plan, next func(*Row) error) *Reader {
	return &Reader{name: l.name, columns: p.fields, next: next, close: l.Close}
}

// A Table yields rows that have no file: those that a database returns.
type Table struct {
	Name    string   // in messages
	Headers []string // the names of the columns, as in the header of a file
	Next    func() ([]string, error)
	Close   func() error
}

// OpenTable returns a Reader of a table, whose columns become merge fields, and whose rows
// are checked, as those of a file are. The line of a Row is its number. The Reader closes
// the table, and so does OpenTable when it fails.
func OpenTable(ctx context.Context, t Table, opts Options) (*Reader, error) {
	l := &lines{stream: &stream{name: t.Name, closers: []func() error{t.Close}}, ctx: ctx}
	p, err := planColumns(l, t.Headers, opts)
	if err != nil {
		l.Close()
		return nil, err
	}
	return newReader(l, p, func(row *Row) error {
		values, err := t.Next()
		if err != nil {
			return err
		}
		l.n++
		return p.fill(row, l.n, values, ", ")
	}), nil
}

// FromRows returns a Reader of rows that do not come from a file.
// columns are its Columns, one of them email. next fills a row, Values in the
// order of columns; its errors are those of Reader.Next.
func FromRows(name string, columns []string, next func(*Row) error) *Reader {
	return &Reader{name: name, columns: columns, next: next}
}

// WithErrors has the errors that end the reading go through a function, which says more
// about them. io.EOF and those about single rows stay as they are.
func (r *Reader) WithErrors(explain func(error) error) *Reader {
	next := r.next
	r.next = func(row *Row) error {
		err := next(row)
		if _, isReject := err.(*Reject); isReject || err == nil || err == io.EOF {
			return err
		}
		return explain(err)
	}
	return r
}

// Columns returns the merge fields, in the order of the Values of each row.
// One of them is email: the address.
func (r *Reader) Columns() []string { return r.columns }

// Next reads the next row. A *Reject is about that row alone; every other
// error ends the reading: io.EOF after the last row, *FileError when the file
// is at fault, which it also is when it has no valid row.
func (r *Reader) Next(row *Row) error {
	if r.err != nil {
		return r.err
	}

	err := r.next(row)
	switch e := err.(type) {
	case nil:
		r.rows++
		return nil
	case *Reject:
		r.rejects++
		if r.rejects == 1 {
			r.firstReject = e
		}
		return err
	}

	if err == io.EOF && r.rows == 0 {
		err = r.noRows()
	}

	r.err = err
	return err
}

// noRows is the error for a source without a valid row.
func (r *Reader) noRows() *FileError {
	if r.rejects == 0 {
		return &FileError{File: r.name, What: "no rows", Fix: "a header line and at least one recipient are needed"}
	}
	return &FileError{
		File: r.name, Line: r.firstReject.Line,
		What: fmt.Sprintf("no valid address in %d rows; the first has: %s: %q", r.rejects, r.firstReject.Reason, r.firstReject.Value),
		Fix:  "check which column holds the addresses (email: HEADER)",
	}
}

// Close ends the reading and frees what it holds.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = fmt.Errorf("read %s: closed", r.name)
	}
	if r.close == nil {
		return nil
	}
	c := r.close
	r.close = nil
	return c()
}

// shown cuts a value for a message.
func shown(s string) string {
	if len(s) <= maxShown {
		return strings.Clone(s) // not to keep the whole row alive
	}
	return strings.ToValidUTF8(s[:maxShown-3], "") + "..."
}
