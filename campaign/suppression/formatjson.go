package suppression

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"broadside/campaign/audience"
)

const (
	// maxRecord is how many bytes of JSON may be read without a record being complete.
	maxRecord = 4 << 20
	// maxDepth is how deep arrays and objects may be nested.
	maxDepth = 32
)

// jsonRecords reads the records of JSON documents, one after another. A record is an
// object that has an address, or that stands in an array: services put records into
// objects that say how to get the next page.
type jsonRecords struct {
	in      *countedLines
	decoder *json.Decoder
	address string
	file    string
	open    []*jsonValue // the outermost first
}

// A jsonValue is an array or object that has begun.
type jsonValue struct {
	object bool
	line   int
	named  bool // the next token of an object is the value of key, and not a key
	key    string
	cells  map[string]string
}

func newJSONRecords(in *bufio.Reader, address, file string) *jsonRecords {
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(len(mark)) // they were peeked at
	}
	lines := &countedLines{in: in}
	j := &jsonRecords{in: lines, decoder: json.NewDecoder(lines), address: address, file: file}
	j.decoder.UseNumber()
	return j
}

// next returns the next record; io.EOF after the last.
func (j *jsonRecords) next() (*record, error) {
	for {
		token, err := j.decoder.Token()
		if errors.Is(err, io.EOF) && len(j.open) == 0 {
			return nil, io.EOF
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, j.problem(err.Error())
		}

		if closed := j.take(token); closed != nil {
			r := j.record(closed)
			if r != nil {
				j.in.done = j.decoder.InputOffset()
				return r, nil
			}
		}
		if len(j.open) > maxDepth {
			return nil, j.problem(fmt.Sprintf("more than %d arrays and objects in one another", maxDepth))
		}
	}
}

func (j *jsonRecords) problem(what string) error {
	return &audience.FileError{File: j.file, Line: j.in.at(j.decoder.InputOffset()), What: "the JSON cannot be read: " + what}
}

// take notes a token, and returns the object that it closes.
func (j *jsonRecords) take(token json.Token) *jsonValue {
	switch token {
	case json.Delim('{'):
		j.open = append(j.open, &jsonValue{object: true, line: j.in.at(j.decoder.InputOffset()), cells: map[string]string{}})
		return nil
	case json.Delim('['):
		j.open = append(j.open, &jsonValue{})
		return nil
	case json.Delim('}'), json.Delim(']'):
		closed := j.open[len(j.open)-1]
		j.open = j.open[:len(j.open)-1]
		if parent := j.parent(); parent != nil {
			parent.named = false
		}
		if !closed.object {
			return nil
		}
		return closed
	}

	parent := j.parent()
	switch text := jsonText(token); {
	case parent == nil || !parent.object: // what is in arrays of texts is of no use here
	case !parent.named:
		parent.named = true
		parent.key = strings.ToLower(text)
		parent.cells[parent.key] = ""
	default:
		parent.named = false
		parent.cells[parent.key] = text
	}
	return nil
}

func (j *jsonRecords) parent() *jsonValue {
	if len(j.open) == 0 {
		return nil
	}
	return j.open[len(j.open)-1]
}

func jsonText(token json.Token) string {
	if token == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(token))
}

// record returns the record that an object is; nil when it is none.
func (j *jsonRecords) record(object *jsonValue) *record {
	_, hasAddress := object.cells[j.address]
	parent := j.parent()
	if !hasAddress && (parent == nil || parent.object) {
		return nil
	}
	text, _ := json.Marshal(object.cells) // texts alone cannot fail
	return &record{line: object.line, text: audience.Excerpt(string(text)), cells: object.cells}
}

// countedLines notes where the lines of a text begin, until they are asked for.
type countedLines struct {
	in    io.Reader
	read  int64   // bytes
	done  int64   // where the last record ended
	ends  []int64 // of lines that were read and not passed
	lines int     // that were passed
}

func (c *countedLines) Read(p []byte) (int, error) {
	if c.read-c.done > maxRecord {
		return 0, fmt.Errorf("a record has more than %d MiB", maxRecord>>20)
	}
	n, err := c.in.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			c.ends = append(c.ends, c.read+int64(i))
		}
	}
	c.read += int64(n)
	return n, err
}

// at returns the line, from 1, of an offset that is not before that of the last call.
func (c *countedLines) at(offset int64) int {
	for len(c.ends) > 0 && c.ends[0] < offset {
		c.ends = c.ends[1:]
		c.lines++
	}
	return c.lines + 1
}
