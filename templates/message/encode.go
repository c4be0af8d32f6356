package message

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"slices"
)

// lineMax is the length of an encoded line without CRLF (RFC 2045, 6.7 and
// 6.8). Quoted-printable keeps one octet of it for the "=" of a soft break.
const lineMax = 76

// highBytes counts the bytes that are not ASCII.
func highBytes(b []byte) int {
	high := 0
	rest := b
	for ; len(rest) >= 8; rest = rest[8:] {
		high += bits.OnesCount64(binary.LittleEndian.Uint64(rest) & 0x8080808080808080)
	}
	for _, c := range rest {
		high += int(c >> 7)
	}
	return high
}

// appendBase64 appends text, whose line ends are CRLF, in lines of 76.
func appendBase64(dst, text []byte) []byte {
	const chunk = lineMax / 4 * 3
	dst = slices.Grow(dst, (len(text)/chunk+1)*(lineMax+2))
	for ; len(text) > chunk; text = text[chunk:] {
		dst = append(base64.StdEncoding.AppendEncode(dst, text[:chunk]), "\r\n"...)
	}
	return base64.StdEncoding.AppendEncode(dst, text)
}

// literal marks the octets that quoted-printable leaves as they are (RFC
// 2045, 6.7, rule 2). Blanks are literal except at the end of a line.
var literal = func() (t [256]bool) {
	for c := 33; c <= 126; c++ {
		t[c] = c != '='
	}
	t[' '] = true
	t['\t'] = true
	return t
}()

// softBreak ends a line that does not end in the decoded text.
const softBreak = "=\r\n"

// appendQPLine appends one line without its end as quoted-printable, or the rest of
// a line behind a soft break. No line of the result is longer than lineMax-1, so
// that a soft break fits behind it. No line ends with a blank or begins with "." or
// "From ", so that neither dot-stuffing nor an mbox file changes it.
func appendQPLine(dst, line []byte) []byte {
	last := len(line) - 1
	column := 0
	for i := 0; i < len(line); {
		if column == 0 && (line[i] == '.' || line[i] == 'F' && bytes.HasPrefix(line[i:], fromLine)) {
			dst = appendOctet(dst, line[i])
			column = 3
			i++
			continue
		}

		// The literal run from here, as much of it as the line has room for.
		end := min(len(line), i+lineMax-1-column)
		j := i
		for j < end && literal[line[j]] {
			j++
		}
		if j > last && (line[last] == ' ' || line[last] == '\t') {
			j = last
		}
		dst = append(dst, line[i:j]...)
		column = column + j - i
		i = j
		if i > last {
			break
		}

		if encode := !literal[line[i]] || i == last && (line[i] == ' ' || line[i] == '\t'); encode {
			if column+3 > lineMax-1 {
				dst = append(dst, softBreak...)
				column = 0
			}
			dst = appendOctet(dst, line[i])
			column = column + 3
			i++
		} else {
			dst = append(dst, softBreak...)
			column = 0
		}
	}

	return dst
}

var fromLine = []byte("From ")

const hexDigits = "0123456789ABCDEF"

func appendOctet(dst []byte, c byte) []byte {
	return append(dst, '=', hexDigits[c>>4], hexDigits[c&15])
}
