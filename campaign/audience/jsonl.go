package audience

import (
	"bytes"
	"context"
)

// A jsonlDecoder reads one flat JSON object from each line.
type jsonlDecoder struct {
	*lines
	plan   *plan
	keys   []string
	column map[string]int // of a key
	first  []byte         // the first row: it has been read already

	pairs  []pair
	values []string
	filled []bool
}

func looksLikeJSON(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	return len(line) > 0 && (line[0] == '{' || line[0] == '[')
}

// isJSONL reports whether a source is JSONL, by its name or its first line.
func (l *lines) isJSONL(first []byte) bool {
	return l.format == formatJSONL || l.format == formatUnknown && looksLikeJSON(first)
}

// openJSONL reads a source twice: the columns are the keys of all its rows. l is at
// the first line, and is closed here when there is an error.
func openJSONL(ctx context.Context, src Source, opts Options, l *lines, first []byte) (*Reader, error) {
	keys, err := startKeys(l, first)
	if err != nil {
		l.Close()
		return nil, err
	}
	again, err := readTwice(ctx, src, opts, l, first, keys)
	if err != nil {
		return nil, err
	}
	if again.first, err = again.lines.firstLine(); err == nil {
		again.plan, err = planColumns(again.lines, keys.names, opts)
	}
	if err != nil {
		again.Close()
		return nil, err
	}
	again.keys = keys.names
	again.column = keys.column
	again.values = make([]string, len(keys.names))
	again.filled = make([]bool, len(keys.names))
	return newReader(again.lines, again, again.plan.fields), nil
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
// is an empty value; one that is new is a fault, since its values would silently
// be missing.
func (d *jsonlDecoder) arrange() *Reject {
	clear(d.values)
	clear(d.filled)
	for i, p := range d.pairs {
		c := i
		if c >= len(d.keys) || d.keys[c] != p.key {
			var ok bool
			if c, ok = d.column[p.key]; !ok {
				return &Reject{Line: d.n, Reason: "key that no row had when the file was read first", Value: shown(p.key)}
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
