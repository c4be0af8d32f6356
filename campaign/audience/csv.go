package audience

import (
	"bytes"
	"io"
	"slices"
	"strings"
)

// A csvDecoder reads RFC 4180 with a free choice of separator. It has its own
// scanner because encoding/csv ends a file at the first wrong quote, or, with
// LazyQuotes, guesses. Here such a row is a Reject, and reading continues with the
// next line.
type csvDecoder struct {
	*lines
	plan  *plan
	comma byte

	values []string
	out    []byte // unquoted values of the record
	ends   []int  // where each ends in out
}

func newCSV(l *lines, first []byte, opts Options) (*csvDecoder, error) {
	d, first, err := startCSV(l, first)
	if err != nil {
		return nil, err
	}
	if err := d.readHeader(first); err != nil {
		return nil, err
	}
	d.plan, err = planColumns(l, d.values, opts)
	return d, err
}

// startCSV finds the separator, and returns the first line that is not a hint of a
// spreadsheet.
func startCSV(l *lines, first []byte) (*csvDecoder, []byte, error) {
	d := &csvDecoder{lines: l}
	if rest, ok := bytes.CutPrefix(bytes.ToLower(first), []byte("sep=")); ok && len(rest) == 1 { // a spreadsheet's hint
		d.comma = rest[0]
		var err error
		if first, err = l.firstLine(); err != nil {
			return nil, nil, err
		}
	}

	if bytes.IndexByte(first, '\r') >= 0 {
		return nil, nil, l.at(l.n, "line ends of CR alone", "save the file with LF or CRLF line ends")
	}
	if d.comma == 0 {
		d.comma = separator(first)
	}

	return d, first, nil
}

// readHeader sets values to the names of the columns.
func (d *csvDecoder) readHeader(line []byte) error {
	at := d.n
	err := d.split(line)
	if r, ok := err.(*Reject); ok {
		return d.at(at, "the header line cannot be read: "+r.Reason, "name the columns, separated by comma, semicolon or tab")
	}
	return err
}

// separator returns what separates the names of the header: comma, semicolon or tab,
// whichever is most frequent outside quotes.
func separator(header []byte) byte {
	var n [256]int
	quoted := false
	for _, c := range header {
		if c == '"' {
			quoted = !quoted
		} else if !quoted {
			n[c]++
		}
	}

	best := byte(',')
	for _, c := range []byte{';', '\t'} {
		if n[c] > n[best] {
			best = c
		}
	}

	return best
}

func (d *csvDecoder) next(row *Row) error {
	for {
		line, err := d.lines.next()
		if err != nil {
			return err
		}

		if len(line) == 0 {
			continue
		}
		at := d.n
		if err := d.split(line); err != nil {
			return err
		}
		if nothing(d.values) {
			continue
		}
		return d.plan.fill(row, at, d.values, string(d.comma))
	}
}

// nothing reports whether a row has only blank values.
func nothing(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return strings.TrimSpace(v) != "" })
}

// split sets values to those of the record that begins with line, and reads further
// lines where a quoted value spans several.
func (d *csvDecoder) split(line []byte) error {
	d.values = d.values[:0]
	if bytes.IndexByte(line, '"') >= 0 {
		return d.splitQuoted(line)
	}

	s := string(line) // the one allocation of a row: its values are parts of it
	for {
		i := strings.IndexByte(s, d.comma)
		if i < 0 {
			break
		}
		d.values = append(d.values, s[:i])
		s = s[i+1:]
	}

	d.values = append(d.values, s)
	return nil
}

func (d *csvDecoder) splitQuoted(line []byte) error {
	d.out = d.out[:0]
	d.ends = d.ends[:0]
	at := d.n
	for more := true; more; {
		var err error
		if len(line) > 0 && line[0] == '"' {
			line, err = d.quoted(line[1:], at)
		} else {
			line, err = d.bare(line, at)
		}

		if err != nil {
			return err
		}
		d.ends = append(d.ends, len(d.out))
		if more = len(line) > 0; more {
			line = line[1:] // the separator
		}
	}

	s := string(d.out)
	from := 0
	for _, to := range d.ends {
		d.values = append(d.values, s[from:to])
		from = to
	}

	return nil
}

// bare reads an unquoted value into out and returns the line behind it.
func (d *csvDecoder) bare(line []byte, at int) ([]byte, error) {
	end := bytes.IndexByte(line, d.comma)
	if end < 0 {
		end = len(line)
	}
	if bytes.IndexByte(line[:end], '"') >= 0 {
		return nil, &Reject{Line: at, Reason: "quote inside a value that is not quoted", Value: shown(string(line[:end]))}
	}
	d.out = append(d.out, line[:end]...)
	return line[end:], nil
}

// quoted reads a value whose opening quote has been read.
func (d *csvDecoder) quoted(line []byte, at int) ([]byte, error) {
	opened := d.n
	start := len(d.out)
	for {
		i := bytes.IndexByte(line, '"')
		if i < 0 {
			d.out = append(append(d.out, line...), '\n')
			if len(d.out) > maxLine {
				return nil, d.open(opened, "is not closed within 1 MiB")
			}
			var err error
			if line, err = d.lines.next(); err == io.EOF {
				return nil, d.open(opened, "is never closed")
			} else if err != nil {
				return nil, err
			}
			continue
		}

		d.out = append(d.out, line[:i]...)
		line = line[i+1:]
		switch {
		case len(line) == 0 || line[0] == d.comma:
			return line, nil
		case line[0] == '"':
			d.out = append(d.out, '"')
			line = line[1:]
		default:
			return nil, &Reject{Line: at, Reason: "text after a closing quote", Value: shown(string(d.out[start:]) + `"` + string(line))}
		}
	}
}

func (d *csvDecoder) open(line int, what string) *FileError {
	return d.at(line, "a quote that opens here "+what, `close it, or write a quote inside a value twice ("")`)
}
