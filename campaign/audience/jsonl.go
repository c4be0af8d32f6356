package audience

import (
	"bytes"
	"context"
)

// A jsonlDecoder reads one flat JSON object from each line.
type jsonlDecoder struct {
	*lines
	*keys
	plan   *plan
	values []string
	filled []bool
}

// isJSONL reports whether a source is JSONL, by its name or its first line. The
// error is about a JSON array.
func (l *lines) isJSONL(first []byte) (bool, error) {
	begin := bytes.TrimLeft(first, " \t")[0]
	if l.format != formatJSONL && (l.format != formatUnknown || begin != '{' && begin != '[') {
		return false, nil
	}
	if begin == '[' {
		return true, l.at(l.n, "a JSON array", "write one object a line, as jq -c '.[]' does")
	}
	return true, nil
}

// openJSONL reads a source twice: the columns are the keys of all its rows. l is at
// the first line.
func openJSONL(ctx context.Context, src Source, opts Options, l *lines, first []byte) (*Reader, error) {
	keys, err := startKeys(l, first)
	if err != nil {
		return nil, err
	}

	again, err := readTwice(ctx, src, opts, l, first, keys)
	if err != nil {
		return nil, err
	}

	d := &jsonlDecoder{lines: newLines(ctx, again), keys: keys, values: make([]string, len(keys.names)), filled: make([]bool, len(keys.names))}
	if err := d.start(opts); err != nil {
		d.Close()
		return nil, err
	}

	return newReader(d.lines, d.plan, d.next), nil
}

// start plans the columns, at the first row: messages about them name its line.
func (d *jsonlDecoder) start(opts Options) error {
	first, err := d.firstLine()
	if err != nil {
		return err
	}
	d.plan, err = planColumns(d.lines, d.names, opts)
	d.putBack(first)
	return err
}

func (d *jsonlDecoder) next(row *Row) error {
	line, err := d.nextFull()
	if err != nil {
		return err
	}

	text := string(line)
	var fault string
	if d.pairs, fault = parseObject(text, d.pairs[:0]); fault != "" {
		return &Reject{Line: d.n, Reason: fault, Value: shown(text)}
	}
	if r := d.arrange(); r != nil {
		return r
	}

	return d.plan.fill(row, d.n, d.values, ", ")
}

// arrange puts the pairs in the order of the columns. A key that is left out is an
// empty value. A new key is a fault, since its values would silently be missing.
func (d *jsonlDecoder) arrange() *Reject {
	clear(d.values)
	clear(d.filled)
	for i, p := range d.pairs {
		c := i
		if c >= len(d.names) || d.names[c] != p.key {
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

		d.values[c] = p.value
		d.filled[c] = true
	}

	return nil
}
