package audience

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"broadside/campaign/address"
)

// A jsonlSearch reads the rows of a JSONL file that says who must not be mailed.
// They may have different keys, and values of any depth.
type jsonlSearch struct {
	*lines
	email string // the key of addresses, in lower case; empty: the one that fits
	met   bool   // it was in a row
	first []byte // a row that has been read already
}

func newJSONLSearch(l *lines, first []byte, email string) (*jsonlSearch, error) {
	if text := bytes.TrimLeft(first, " \t"); text[0] == '[' {
		return nil, l.jsonArray()
	}
	return &jsonlSearch{lines: l, first: first, email: strings.ToLower(strings.TrimSpace(email))}, nil
}

func (s *jsonlSearch) next(row *AddressRow) error {
	line := s.first
	s.first = nil
	if line == nil {
		var err error
		line, err = s.lines.nextFull()
		if err == io.EOF && s.email != "" && !s.met {
			return s.at(s.n, fmt.Sprintf("no row has the key %q", s.email), "correct email, or leave it away")
		}
		if err != nil {
			return err
		}
	}
	*row = objectRow(string(line), s.n)
	at := row.addressCell(s.email)
	if at >= 0 {
		s.met = true
		row.Named = address.Find(row.cells[at])
	}
	return nil
}

// addressCell returns the cell of the named key, or without a name of the only key
// that says that it holds addresses; -1 when there is none.
func (r *AddressRow) addressCell(name string) int {
	at := -1
	for key, i := range r.columns {
		switch {
		case name != "" && key != name, name == "" && !IsAddressHeader(key):
		case at >= 0:
			return -1
		default:
			at = i
		}
	}
	return at
}

// objectRow makes a row of a JSON object: each cell has the texts of one value. What
// is no object is only searched.
func objectRow(text string, line int) AddressRow {
	row := AddressRow{Line: line, Text: text, columns: map[string]int{}}
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return row
	}
	members, isObject := value.(map[string]any)
	if !isObject {
		row.cells = []string{strings.Join(texts(nil, value), "\n")}
		return row
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		row.columns[strings.ToLower(strings.TrimSpace(key))] = len(row.cells)
		row.cells = append(row.cells, strings.Join(texts(nil, members[key]), "\n"))
	}
	if !strings.Contains(text, `\`) {
		row.cells = append(row.cells, text) // a key that is there twice
	}
	return row
}

// texts appends all strings in a JSON value.
func texts(all []string, value any) []string {
	switch v := value.(type) {
	case string:
		return append(all, v)
	case []any:
		for _, item := range v {
			all = texts(all, item)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = texts(all, v[key])
		}
	}
	return all
}
