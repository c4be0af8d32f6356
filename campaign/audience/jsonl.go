package audience

import (
	"bytes"
)

// A jsonlDecoder reads one flat JSON object from each line.
type jsonlDecoder struct {
	*lines
	plan   *plan
	keys   []string
	column map[string]int // of a key
	first  []byte         // the first row: it has been read for its keys

	pairs  []pair
	values []string
	filled []bool
}

func looksLikeJSON(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	return len(line) > 0 && (line[0] == '{' || line[0] == '[')
}

func newJSONL(l *lines, first []byte, opts Options) (decoder, []string, error) {
	const fix = `write one object a line: {"email": "ann@example.com", "first_name": "Ann"}`
	if text := bytes.TrimLeft(first, " \t"); text[0] == '[' {
		return nil, nil, l.at(l.n, "a JSON array", "write one object a line, as jq -c '.[]' does")
	}
	pairs, fault := parseObject(string(first), nil)
	if fault != "" {
		return nil, nil, l.at(l.n, "the first line is no JSON object: "+fault, fix)
	}
	d := &jsonlDecoder{lines: l, first: first, column: map[string]int{}}
	for _, p := range pairs {
		if _, ok := d.column[p.key]; ok {
			return nil, nil, l.at(l.n, "the key "+quoteAll([]string{p.key})+" is there twice", "give each value a key of its own")
		}
		d.column[p.key] = len(d.keys)
		d.keys = append(d.keys, p.key)
	}
	p, err := planColumns(l, d.keys, opts)
	if err != nil {
		return nil, nil, err
	}
	d.plan = p
	d.values, d.filled = make([]string, len(d.keys)), make([]bool, len(d.keys))
	return d, p.fields, nil
}

func (d *jsonlDecoder) next(row *Row) error {
	line := d.first
	d.first = nil
	for len(bytes.TrimSpace(line)) == 0 {
		var err error
		if line, err = d.lines.next(); err != nil {
			return err
		}
	}
	text := string(line)
	var fault string
	if d.pairs, fault = parseObject(text, d.pairs[:0]); fault != "" {
		return &Reject{Line: d.n, Reason: fault, Value: shown(text)}
	}
	if r := d.arrange(); r != nil {
		return r
	}
	return d.plan.fill(row, d.n, d.values)
}

// arrange puts the pairs in the order of the columns. A key that is left out
// is an empty value; one that the first line does not have is a fault, since
// its values would silently be missing.
func (d *jsonlDecoder) arrange() *Reject {
	clear(d.values)
	clear(d.filled)
	for i, p := range d.pairs {
		c := i
		if c >= len(d.keys) || d.keys[c] != p.key {
			var ok bool
			if c, ok = d.column[p.key]; !ok {
				return &Reject{Line: d.n, Reason: "key that the first line does not have", Value: shown(p.key)}
			}
		}
		switch {
		case d.filled[c]:
			return &Reject{Line: d.n, Reason: "key twice", Value: shown(p.key)}
		case p.nested:
			return &Reject{Line: d.n, Reason: "object or array as a value", Value: shown(p.key)}
		}
		d.values[c], d.filled[c] = p.value, true
	}
	return nil
}
