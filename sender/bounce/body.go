package bounce

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// decoded returns the body without its transfer encoding, at most limit bytes of it.
func (e *entity) decoded(limit int) []byte {
	switch encoding := strings.ToLower(e.header.get("Content-Transfer-Encoding")); {
	case strings.HasPrefix(encoding, "base64"):
		return fromBase64(e.raw, limit)
	case strings.HasPrefix(encoding, "quoted-printable"):
		return fromQuotedPrintable(e.raw, limit)
	}
	return e.raw[:min(len(e.raw), limit)]
}

// text returns the body as text, of HTML what a reader sees.
func (e *entity) text() string {
	text := toUTF8(e.decoded(maxText), e.params["charset"])
	if e.kind == "text/html" || e.kind == "text/plain" && looksLikeHTML(text) {
		return fromHTML(text)
	}
	return text
}

// looksLikeHTML reports whether a text that claims to be plain is HTML.
func looksLikeHTML(text string) bool {
	start := strings.ToLower(strings.TrimSpace(text[:min(len(text), 200)]))
	return strings.HasPrefix(start, "<html") || strings.HasPrefix(start, "<!doctype html")
}

// fromBase64 decodes as far as the text is base64, whatever stands between its
// characters.
func fromBase64(raw []byte, limit int) []byte {
	digits := make([]byte, 0, min(len(raw), limit/3*4+4))
	for _, c := range raw {
		if c == '=' || len(digits) == cap(digits) {
			break
		}
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/' {
			digits = append(digits, c)
		}
	}

	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, _ := base64.RawStdEncoding.Decode(out, digits) // what comes before an error is good
	return out[:min(n, limit)]
}

// fromQuotedPrintable decodes RFC 2045 6.7; an "=" that begins no code stays.
func fromQuotedPrintable(raw []byte, limit int) []byte {
	out := make([]byte, 0, min(len(raw), limit))
	for i := 0; i < len(raw) && len(out) < limit; i++ {
		if raw[i] != '=' {
			out = append(out, raw[i])
			continue
		}

		rest := raw[i+1:]
		line, _ := lineAt(rest, 0)
		if len(bytes.TrimSpace(line)) == 0 {
			i += len(line) + 1 // a soft line break
			continue
		}

		high, low := 16, 16
		if len(rest) >= 2 {
			high = hexDigit(rest[0])
			low = hexDigit(rest[1])
		}
		if high == 16 || low == 16 {
			out = append(out, '=')
			continue
		}
		out = append(out, byte(high<<4|low))
		i += 2
	}
	return out
}

// hexDigit returns the value of a hexadecimal digit; 16 when it is none.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return 16
}

// toUTF8 returns text of a charset as UTF-8. Text that is good UTF-8 is that, whatever
// it claims to be; text of no known charset is taken for Windows-1252.
func toUTF8(raw []byte, charset string) string {
	if utf8.Valid(raw) && bytes.IndexByte(raw, 0x1b) < 0 {
		return string(raw)
	}
	if bytes.Contains(raw, []byte("\x1b$")) {
		charset = "iso-2022-jp" // nothing else has these sequences
	}
	if known, err := htmlindex.Get(charset); err == nil && charset != "utf-8" {
		if out, err := known.NewDecoder().Bytes(raw); err == nil {
			return string(out)
		}
	}

	out, err := charmap.Windows1252.NewDecoder().Bytes(raw)
	if err != nil {
		return strings.ToValidUTF8(string(raw), "?")
	}
	return string(out)
}
