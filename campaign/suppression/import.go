package suppression

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"broadside/campaign/address"
)

// columns is the header of the CSV form, in the order of Export.
var columns = []string{"address", "sha256", "reason", "scope", "source", "run", "at", "expires"}

// An Imported says what an import did.
type Imported struct {
	Rows    int      `json:"rows"`    // without the header
	Added   int      `json:"added"`   // were not suppressed before
	Known   int      `json:"known"`   // were, or came twice
	Rejects []Reject `json:"rejects"` // rows that were left out
	Ignored []string `json:"ignored"` // columns with other names
}

// A Reject is a row that could not be imported.
type Reject struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
	Value  string `json:"value"`
}

// A FileError says what is wrong with an imported file as a whole.
type FileError struct {
	File   string
	Line   int // from 1
	Reason string
}

// Error returns file:line: reason.
func (e *FileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

// Import merges a CSV file into the list: what is there stays, nothing is
// removed. The header names the columns that Export writes, in any order; only
// "address" or "sha256" (hexadecimal, of the canonical address) is needed.
// The delimiter is a comma, a semicolon or a tab. A row that cannot be used is
// a Reject.
//
// A file that is broken as a whole gives a *FileError that names file and the
// line; what was read before it may have been added, which is harmless: it is
// on the list that was to be imported.
func (s *Store) Import(ctx context.Context, r io.Reader, file string) (Imported, error) {
	result := Imported{Rejects: []Reject{}, Ignored: []string{}}
	im, err := newImporter(r, file, s.now())
	if err != nil {
		return result, err
	}
	result.Ignored = append(result.Ignored, im.ignored...)
	entries := make([]Entry, 0, batch)
	for done := false; !done; {
		entries = entries[:0]
		for len(entries) < batch {
			e, reject, err := im.next()
			if errors.Is(err, io.EOF) {
				done = true
				break
			}
			if err != nil {
				return result, err
			}
			result.Rows++
			if reject != nil {
				result.Rejects = append(result.Rejects, *reject)
				continue
			}
			entries = append(entries, e)
		}
		if len(entries) == 0 {
			continue
		}
		n, err := s.addBatch(ctx, asNew, im.now, entries)
		result.Added += n
		if err != nil {
			return result, fmt.Errorf("import suppressions: %w", err)
		}
		result.Known += len(entries) - n
	}
	return result, nil
}

// importer reads entries from CSV.
type importer struct {
	csv     *csv.Reader
	file    string
	now     time.Time
	column  map[string]int // name -> position
	width   int
	ignored []string
}

func newImporter(r io.Reader, file string, now time.Time) (*importer, error) {
	buffered := bufio.NewReader(&lineGuard{r: r})
	if bom, _ := buffered.Peek(3); string(bom) == "\xef\xbb\xbf" {
		if _, err := buffered.Discard(3); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
	}
	im := &importer{csv: csv.NewReader(buffered), file: file, now: now, column: map[string]int{}}
	im.csv.FieldsPerRecord = -1 // counted in next: a wrong row is a reject, not the end
	im.csv.ReuseRecord = true
	im.csv.Comma = delimiter(buffered)

	header, err := im.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, &FileError{file, 1, "the file is empty, expected a header with address or sha256"}
	}
	if err != nil {
		return nil, im.broken(err)
	}
	im.width = len(header)
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := im.column[name]; twice {
			return nil, &FileError{file, 1, fmt.Sprintf("column %q stands twice in the header", name)}
		}
		im.column[name] = i
		if !known(name) {
			im.ignored = append(im.ignored, header[i])
		}
	}
	_, byAddress := im.column["address"]
	_, byHash := im.column["sha256"]
	if !byAddress && !byHash {
		return nil, &FileError{file, 1, fmt.Sprintf("found the columns %q, expected a header with address or sha256: name the column of the addresses so", header)}
	}
	return im, nil
}

func known(name string) bool {
	for _, c := range columns {
		if c == name {
			return true
		}
	}
	return false
}

// delimiter looks at the first line for what separates its columns.
func delimiter(r *bufio.Reader) rune {
	start, _ := r.Peek(r.Size())
	line, _, _ := bytes.Cut(start, []byte("\n"))
	for _, d := range ",;\t" {
		if bytes.ContainsRune(line, d) {
			return d
		}
	}
	return ','
}

// next returns one entry or one reject; io.EOF at the end.
func (im *importer) next() (Entry, *Reject, error) {
	record, err := im.csv.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return Entry{}, nil, io.EOF
		}
		return Entry{}, nil, im.broken(err)
	}
	line, _ := im.csv.FieldPos(0)
	e, err := im.entry(record)
	if err != nil {
		return Entry{}, &Reject{Line: line, Reason: err.Error(), Value: oneLine(strings.Join(record, string(im.csv.Comma)))}, nil
	}
	return e, nil, nil
}

func (im *importer) entry(record []string) (Entry, error) {
	if len(record) != im.width {
		return Entry{}, fmt.Errorf("%d columns, expected %d", len(record), im.width)
	}
	cell := func(name string) string {
		if i, ok := im.column[name]; ok {
			return strings.TrimSpace(record[i])
		}
		return ""
	}
	e := Entry{
		Address: cell("address"), Reason: cell("reason"), Scope: cell("scope"),
		Source: cell("source"), Run: cell("run"),
	}
	if e.Reason == "" {
		e.Reason = ReasonImported
	}
	if e.Source == "" {
		e.Source = "import"
	}
	if text := cell("sha256"); e.Address == "" && text != "" {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != len(e.Hash) {
			return Entry{}, fmt.Errorf("sha256 is not %d hexadecimal digits", 2*len(e.Hash))
		}
		copy(e.Hash[:], raw)
	}
	for name, to := range map[string]*time.Time{"at": &e.At, "expires": &e.Expires} {
		var err error
		if *to, err = parseTime(cell(name)); err != nil {
			return Entry{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if !e.Expires.IsZero() && !e.Expires.After(im.now) {
		return Entry{}, errors.New("expires lies in the past")
	}
	e, err := e.complete(im.now)
	var reason address.Reason
	if errors.As(err, &reason) {
		return Entry{}, reason // the reject shows the row itself
	}
	return e, err
}

// parseTime reads RFC 3339, or a date for its beginning in UTC; empty is no
// time. Only years that Unix milliseconds can hold without surprise pass.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse(time.DateOnly, text)
	}
	if err != nil || t.Year() < 1971 {
		return time.Time{}, fmt.Errorf("%q is not a time like 2026-10-01T09:00:00Z", text)
	}
	return t, nil
}

// broken turns an error of reading into one that says where.
func (im *importer) broken(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &FileError{im.file, parse.StartLine, fmt.Sprintf("not CSV (%v): every quoted value must be closed, and a quote within it doubled", parse.Err)}
	}
	var guard *guardError
	if errors.As(err, &guard) {
		return &FileError{im.file, guard.line, guard.reason}
	}
	return fmt.Errorf("read %s: %w", im.file, err)
}

// maxLine is the length of a line, in bytes, above which a file is refused.
const maxLine = 1 << 20

// lineGuard passes a file on and ends it with an error at a NUL byte or in a
// line that is too long, before a CSV reader would take it all into memory.
type lineGuard struct {
	r      io.Reader
	line   int   // complete lines read
	length int   // of the line that is being read
	err    error // for good: bufio.Reader.Peek swallows what it was told
}

type guardError struct {
	line   int
	reason string
}

func (e *guardError) Error() string { return e.reason }

func (g *lineGuard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.r.Read(p)
	for i, b := range p[:n] {
		switch {
		case b == '\n':
			g.line++
			g.length = 0
		case b == 0:
			g.err = &guardError{g.line + 1, "found a NUL byte: this is not a text file"}
			return i, g.err
		default:
			if g.length++; g.length > maxLine {
				g.err = &guardError{g.line + 1, fmt.Sprintf("the line is longer than %d bytes", maxLine)}
				return i, g.err
			}
		}
	}
	g.err = err
	return n, err
}
