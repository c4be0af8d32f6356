package message

import "strings"

// longLine is how many bytes of a line are encoded together with the values next to
// them. What is longer is set apart by soft breaks, so that it can be encoded once.
const longLine = 2 * lineMax

// Fixed is a text that is the same for all recipients, prepared once. Its
// whole lines are encoded; the ends, which share a line with their neighbours, are
// kept as they are unless they are long:
//
//	head  | <td>Hello        the current line is encoded when it ends
//	      | <b>              encoded
//	      | ...              encoded
//	tail  | <p>              begins the next line
type Fixed struct {
	text       string
	ready      bool // the rest is filled in; else text is encoded as a value
	head, tail string
	encoded    []byte
	inLine     bool // encoded begins within a line, which is not blank
	open       bool // encoded ends within a line

	before, after bool // blank lines that Tidy left out around encoded
	octets, high  int  // of the text in encoded
}

// NewFixed prepares a text for Encoders that are tidy, or not.
func NewFixed(text string, tidy bool) *Fixed {
	f := &Fixed{text: text}
	long := func(line string) bool {
		if tidy {
			line = strings.Trim(line, " \t")
		}
		return len(line) > longLine
	}
	first, rest, ended := strings.Cut(text, "\n")
	f.inLine = long(first)
	if strings.Contains(text, "\r") || !ended && !f.inLine {
		return f
	}

	f.ready = true
	if f.inLine {
		rest = text
	} else {
		f.head = first
	}

	end := strings.LastIndexByte(rest, '\n') + 1
	f.open = long(rest[end:])
	if f.open {
		end = len(rest)
		if tidy { // blanks may be the end of the line
			end = len(strings.TrimRight(rest, " \t"))
		}
	}

	f.tail = rest[end:]
	rest = rest[:end]
	f.encode(rest, tidy)

	return f
}

// encode fills in encoded for a text that ends with a line, or is open.
func (f *Fixed) encode(text string, tidy bool) {
	var e Encoder
	e.start(nil, quoted)
	e.tidy = tidy
	e.line = append(e.line, text...)
	e.endLines(len(text))
	if f.open {
		e.breakLine()
	}

	f.encoded = e.dst
	f.octets = e.octets
	f.high = e.high
	if tidy {
		blank := text[:len(text)-len(strings.TrimLeft(text, " \t\n"))]
		f.before = strings.Contains(blank, "\n")
		f.after = e.gap
	}
}
