package audience

import (
	"fmt"
	"regexp"
	"strings"

	"broadside/campaign/address"
)

// A csvSearch reads the rows of a CSV file that says who must not be mailed.
type csvSearch struct {
	*csvDecoder
	header  []string // nil: the first line is a row already
	columns map[string]int
	emails  []int  // the columns of addresses; none: any
	first   []byte // a row that has been read already
}

func newCSVSearch(l *lines, first []byte, email string) (*csvSearch, error) {
	d, first, err := startCSV(l, first)
	if err != nil {
		return nil, err
	}
	s := &csvSearch{csvDecoder: d}
	if isEntry(string(first)) {
		if email != "" {
			return nil, l.at(l.n, fmt.Sprintf("no column %q: the first line has an address where the names of the columns should be", email),
				"put a line with the names first, or leave email away")
		}
		s.first = first
		return s, nil
	}
	if err := d.readHeader(first); err != nil {
		return nil, err
	}
	h, err := newHeader(l, d.values)
	if err != nil {
		return nil, err
	}
	s.header, s.columns = h.names, h.positions()
	s.emails, err = h.doNotMailColumns(email)
	return s, err
}

// isEntry reports whether a first line means somebody, and therefore cannot name the
// columns: it has an address, or what was to be one, or the hash of one.
func isEntry(line string) bool {
	return len(address.Find(line)) > 0 || wouldBeEntry.MatchString(line)
}

var wouldBeEntry = regexp.MustCompile(`\S[@＠]|[@＠]\S|\b[0-9A-Fa-f]{64}\b`)

func (s *csvSearch) next(row *AddressRow) error {
	for {
		line := s.first
		s.first = nil
		if line == nil {
			var err error
			if line, err = s.lines.nextFull(); err != nil {
				return err
			}
		}
		if err := s.record(row, line); err != nil {
			return err
		}
		if strings.Trim(row.Text, " \t\r\n\",;"+string(s.comma)) != "" {
			return nil
		}
	}
}

// record makes a row of the record that begins with line. A record of several lines
// and one with a wrong quote is only searched, since it may have swallowed others;
// one with other than the header's columns too, since they may be shifted.
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
	row.cells = s.values
	if len(s.values) <= len(s.header) {
		row.columns = s.columns
	}
	if len(s.values) == len(s.header) {
		row.Named = findIn(s.values, s.emails)
	}
	return nil
}

// findIn returns the addresses in some of the cells of a row.
func findIn(cells []string, columns []int) []address.Address {
	texts := make([]string, 0, len(columns))
	for _, i := range columns {
		texts = append(texts, cells[i])
	}
	return address.Find(strings.Join(texts, "\n"))
}
