package audience

import "strings"

// A csvSearch reads the rows of a CSV file that says who must not be mailed.
type csvSearch struct {
	*csvDecoder
	columns namedColumns
}

func newCSVSearch(l *lines, first []byte, email string) (*csvSearch, error) {
	d, first, err := startCSV(l, first)
	if err != nil {
		return nil, err
	}

	s := &csvSearch{csvDecoder: d}
	if isEntry(string(first)) {
		l.putBack(first)
		return s, l.withoutNames(email)
	}

	if err := d.readHeader(first); err != nil {
		return nil, err
	}

	s.columns, err = newNamedColumns(l, d.values, email)
	return s, err
}

func (s *csvSearch) next(row *AddressRow) error {
	for {
		line, err := s.nextFull()
		if err != nil {
			return err
		}
		if err := s.record(row, line); err != nil {
			return err
		}
		if strings.Trim(row.Text, " \t\r\n\",;"+string(s.comma)) != "" {
			return nil
		}
	}
}

// record makes a row of the record that begins with line. A record of several lines, or
// with a wrong quote, is only searched, since it may have swallowed others. So is one
// with more columns than the header has, since they may be shifted.
func (s *csvSearch) record(row *AddressRow, line []byte) error {
	at := s.n
	s.lines.kept = append(s.lines.kept[:0], line...)
	s.lines.keep = true
	err := s.split(line)
	s.lines.keep = false
	*row = AddressRow{Line: at, Text: string(s.lines.kept)}
	_, wrong := err.(*Reject)
	switch {
	case wrong || err == nil && s.n != at:
		return nil
	case err != nil:
		return err
	}

	s.columns.fill(row, s.values)
	return nil
}
