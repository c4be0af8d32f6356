package audience

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"broadside/campaign/address"
)

// An AddressRow is one row of a file that says who must not be mailed. It is valid
// until the next row is read.
type AddressRow struct {
	Line  int               // of the file, from 1
	Text  string            // the row as it stands in the file
	Named []address.Address // those in the column of addresses

	columns map[string]int // of the cells, in lower case; nil where they do not fit the header
	cells   []string       // none where the row cannot be taken apart
}

// Addresses returns everyone the row can mean: those in the column of addresses, or
// if there are none, every address that is found anywhere in the row.
func (r *AddressRow) Addresses() []address.Address {
	if len(r.Named) > 0 {
		return r.Named
	}
	if len(r.cells) == 0 {
		return address.Find(r.Text)
	}
	return address.Find(strings.Join(r.cells, "\n"))
}

// Cell returns the value in the column of that name, which is in lower case, or "" if
// there is none.
func (r *AddressRow) Cell(name string) string {
	if i, ok := r.columns[name]; ok && i < len(r.cells) {
		return strings.TrimSpace(r.cells[i])
	}
	return ""
}

// Fits reports whether the row could be taken apart into the columns of its file. A
// row that does not fit may have swallowed others.
func (r *AddressRow) Fits() bool { return r.columns != nil }

// Excerpt returns the row in quotes, cut to what fits in a message, with every
// character that cannot be seen escaped.
func (r *AddressRow) Excerpt() string { return Excerpt(r.Text) }

// Excerpt returns a text of a file in quotes, cut to some 80 characters, with
// every character that cannot be seen escaped.
func Excerpt(text string) string {
	const most = 72
	runes := []rune(strings.TrimRight(text[:min(len(text), 8*most)], "\r\n"))
	if len(runes) <= most {
		return fmt.Sprintf("%q", string(runes))
	}
	return fmt.Sprintf("%q...", string(runes[:most]))
}

// An AddressReader reads a file that says who must not be mailed. It refuses no row:
// one that is not as it should be is searched as a whole. Only what puts the whole
// file in doubt ends the reading.
type AddressReader struct {
	lines  *lines
	header []string // nil: the file does not name its columns
	next   func(*AddressRow) error
}

// OpenAddresses opens a file or a stream: CSV with or without a header, one address
// per line, JSONL, compressed or not, or a workbook. It uses the options Email, Sheet,
// Encoding and File. Without Email it takes the one column whose name says that it
// holds addresses, or all columns if there is none. ctx covers the reading too.
func OpenAddresses(ctx context.Context, src Source, opts Options) (*AddressReader, error) {
	s, err := openStream(ctx, src, opts)
	if err != nil {
		return nil, err
	}

	r, err := startAddresses(ctx, s, opts)
	if err != nil {
		s.Close()
		return nil, err
	}

	return r, nil
}

func startAddresses(ctx context.Context, s *stream, opts Options) (*AddressReader, error) {
	if s.format == formatXLSX {
		x, err := newXLSXSearch(ctx, s, opts)
		if err != nil {
			return nil, err
		}
		return &AddressReader{x.lines, x.columns.names, x.next}, nil
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
		return &AddressReader{l, nil, newJSONLSearch(l, first, opts.Email).next}, nil
	}

	search, err := newCSVSearch(l, first, opts.Email)
	if err != nil {
		return nil, err
	}

	return &AddressReader{l, search.columns.names, search.next}, nil
}

// Header returns the names of the columns; nil where the file does not name them.
func (r *AddressReader) Header() []string { return r.header }

// Next reads the next row that is not blank. The error is io.EOF after the last one,
// a *FileError, or that of the reading.
func (r *AddressReader) Next(row *AddressRow) error { return r.next(row) }

// Problem returns a fault of the file as a whole, and where it shows: line 0 is
// nowhere in particular.
func (r *AddressReader) Problem(line int, format string, args ...any) *FileError {
	return &FileError{File: r.lines.name, Line: line, What: fmt.Sprintf(format, args...)}
}

// Close ends the reading.
func (r *AddressReader) Close() error { return r.lines.Close() }

// The namedColumns are what the first row says about the others; zero when it is one
// of them itself.
type namedColumns struct {
	names  []string
	at     map[string]int // by name, in lower case
	emails []int          // the columns of addresses; none: any
}

func newNamedColumns(l *lines, first []string, email string) (c namedColumns, err error) {
	h, err := newHeader(l, first)
	if err != nil {
		return c, err
	}
	c.names = h.names
	c.at = h.positions()
	c.emails, err = h.doNotMailColumns(email)
	return c, err
}

// fill gives a row its cells, and what is known of their columns. A row with more cells
// than there are names may be shifted, and is only searched.
func (c namedColumns) fill(row *AddressRow, cells []string) {
	row.cells = cells
	if len(cells) <= len(c.names) {
		row.columns = c.at
	}
	if len(cells) == len(c.names) {
		row.Named = findIn(cells, c.emails)
	}
}

// findIn returns the addresses in some of the cells of a row.
func findIn(cells []string, columns []int) []address.Address {
	texts := make([]string, 0, len(columns))
	for _, i := range columns {
		texts = append(texts, cells[i])
	}
	return address.Find(strings.Join(texts, "\n"))
}

// isEntry reports whether a first row is about a person, and therefore cannot name the
// columns: it has an address, or something meant to be one, or the hash of one.
func isEntry(row string) bool {
	return len(address.Find(row)) > 0 || wouldBeEntry.MatchString(row)
}

var wouldBeEntry = regexp.MustCompile(`\S[@＠]|[@＠]\S|\b[0-9A-Fa-f]{64}\b`)

// withoutNames refuses a name for the column of addresses in a file whose first row
// names none.
func (l *lines) withoutNames(email string) error {
	if email == "" {
		return nil
	}
	return l.at(l.n, fmt.Sprintf("no column %q: the first line has an address where the names of the columns should be", email),
		"put a line with the names first, or leave email out")
}
