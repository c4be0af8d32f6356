package bounce

import (
	"bytes"
	"io"
	"mime"
	"slices"
	"strings"
)

// A field is one field of a header, unfolded.
type field struct {
	name  string
	value string
}

// is reports whether the field has this name, in any case of letters.
func (f field) is(name string) bool { return strings.EqualFold(f.name, name) }

// A header is the fields of an entity, in their order.
type header []field

// get returns the first field of a name, with encoded words decoded; empty when
// there is none.
func (h header) get(name string) string {
	for _, f := range h {
		if f.is(name) {
			return decodeWords(f.value)
		}
	}
	return ""
}

// all returns the values of all fields of the names, as they stand.
func (h header) all(names ...string) []string {
	var values []string
	for _, f := range h {
		if slices.ContainsFunc(names, f.is) {
			values = append(values, f.value)
		}
	}
	return values
}

// has reports whether there is a field of one of the names.
func (h header) has(names ...string) bool { return h.all(names...) != nil }

// ofMessage reports whether the header is one of a message.
func (h header) ofMessage() bool {
	return h.has("From", "To", "Subject", "Date", "Received", "Return-Path", "Message-ID", "MIME-Version", "Delivered-To")
}

// ofPart reports whether the header is one of a part of a message.
func (h header) ofPart() bool {
	return slices.ContainsFunc(h, func(f field) bool {
		return len(f.name) > 8 && strings.EqualFold(f.name[:8], "Content-")
	})
}

// splitHeader divides an entity into its header and its body. A line that cannot
// be in a header is skipped where the header goes on behind it, and begins the body
// where it does not.
func splitHeader(raw []byte) (header, []byte) {
	var h header
	end := min(len(raw), maxHeader)
	for at := 0; at < end; {
		line, next := lineAt(raw, at)
		trimmed := bytes.TrimSpace(line)
		name, value, ok := cutField(line)
		switch {
		case len(trimmed) == 0:
			return h, raw[next:]
		case ok && len(h) == maxFields: // what follows is not looked at
		case ok:
			h = append(h, field{name, limited(value)})
		case len(h) > 0 && (line[0] == ' ' || line[0] == '\t' || bytes.HasPrefix(line, []byte("boundary="))):
			last := &h[len(h)-1]
			if len(last.value) < maxField {
				last.value = limited(last.value + " " + string(trimmed))
			}
		case !goesOn(raw, at, next):
			return h, raw[at:]
		}
		at = next
	}
	return h, raw[end:]
}

// goesOn reports whether a header goes on behind the line at a place that is no
// field: the line "From " of a mailbox file, or one that was broken on the way.
func goesOn(raw []byte, at, next int) bool {
	if at == 0 && !bytes.HasPrefix(raw, []byte("From ")) && !bytes.HasPrefix(raw, []byte(">From ")) {
		return false
	}
	for range 20 {
		if next >= len(raw) {
			return false
		}
		var line []byte
		line, next = lineAt(raw, next)
		if len(bytes.TrimSpace(line)) == 0 {
			return false
		}
		name, _, ok := cutField(line)
		if ok && (strings.Contains(name, "-") || header{{name: name}}.ofMessage()) {
			return true
		}
	}
	return false
}

// cutField divides a line into the name of a field and its value.
func cutField(line []byte) (name, value string, ok bool) {
	before, after, found := bytes.Cut(line, []byte(":"))
	before = bytes.TrimRight(before, " \t")
	if !found || len(before) == 0 || len(before) > 76 || bytes.ContainsFunc(before, notOfName) {
		return "", "", false
	}
	return string(before), string(bytes.TrimSpace(after)), true
}

// notOfName reports whether a field name cannot have the character. RFC 5322 allows
// more than these; no field in use has them.
func notOfName(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	digit := r >= '0' && r <= '9'
	return !letter && !digit && r != '-' && r != '_' && r != '.'
}

func limited(value string) string {
	if len(value) > maxField {
		return value[:maxField]
	}
	return value
}

var words = mime.WordDecoder{CharsetReader: func(charset string, input io.Reader) (io.Reader, error) {
	raw, err := io.ReadAll(io.LimitReader(input, maxField))
	return strings.NewReader(toUTF8(raw, charset)), err
}}

// decodeWords decodes the encoded words of a value (RFC 2047); one that is broken
// stays as it is.
func decodeWords(value string) string {
	if !strings.Contains(value, "=?") {
		return toUTF8([]byte(value), "")
	}
	decoded, err := words.DecodeHeader(value)
	if err != nil {
		return toUTF8([]byte(value), "")
	}
	return decoded
}

// contentType reads a Content-Type (RFC 2045 5.1). It is more tolerant than
// mime.ParseMediaType: parameters without quotes, repeated or broken are common in
// bounce messages.
func contentType(value, usual string) (kind string, params map[string]string) {
	kind, rest, _ := strings.Cut(value, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if !strings.Contains(kind, "/") {
		return usual, nil
	}

	params = map[string]string{}
	for rest != "" {
		var name, text string
		name, rest, _ = strings.Cut(rest, "=")
		text, rest = cutParameter(strings.TrimSpace(rest))
		name = strings.ToLower(strings.Trim(name, "; \t"))
		if _, twice := params[name]; !twice {
			params[name] = text
		}
	}
	return kind, params
}

// cutParameter takes the value of a parameter, quoted or not, off a text.
func cutParameter(text string) (value, rest string) {
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		value, rest, _ = strings.Cut(quoted, `"`)
		return value, rest
	}
	value, rest, _ = strings.Cut(text, ";")
	return strings.TrimSpace(value), rest
}
