package audience

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// A jsonlSearch reads the rows of a JSONL file that says who must not be mailed.
// They may have different keys, and values of any depth.
type jsonlSearch struct {
	*lines
	email string // the key of addresses, in lower case; empty: the one that fits
	met   bool   // it was in a row
}

func newJSONLSearch(l *lines, first []byte, email string) *jsonlSearch {
	l.putBack(first)
	return &jsonlSearch{lines: l, email: strings.ToLower(strings.TrimSpace(email))}
}

func (s *jsonlSearch) next(row *AddressRow) error {
	line, err := s.nextFull()
	if err == io.EOF && s.email != "" && !s.met {
		return s.at(s.n, fmt.Sprintf("no row has the key %q", s.email), "correct email, or leave it out")
	}
	if err != nil {
		return err
	}

	*row = objectRow(string(line), s.n)
	cells := row.addressCells(s.email)
	if len(cells) > 0 {
		s.met = true
		row.Named = findIn(row.cells, cells)
	}

	return nil
}

// addressCells returns the cell of the named key. Without a name it returns the cell of
// the only key that says that it holds addresses, and those of further addresses.
func (r *AddressRow) addressCells(name string) []int {
	if i, ok := r.columns[name]; ok && name != "" {
		return []int{i}
	}
	if name != "" {
		return nil
	}

	keys := slices.Sorted(maps.Keys(r.columns))
	var cells []int
	for _, k := range addressColumns(keys) {
		cells = append(cells, r.columns[keys[k]])
	}

	return cells
}

// objectRow makes a row of a JSON object: each cell has the texts of one value. A text
// that is not an object is only searched.
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
		row.cells = append(row.cells, text) // for the values of a key that occurs twice
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
