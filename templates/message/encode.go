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

// preferBase64 reports whether base64 makes the shorter text: each byte that
// is not ASCII takes three in quoted-printable, against four for three.
func preferBase64(body []byte) bool {
	high, rest := 0, body
	for ; len(rest) >= 8; rest = rest[8:] {
		high += bits.OnesCount64(binary.LittleEndian.Uint64(rest) & 0x8080808080808080)
	}
	for _, c := range rest {
		high += int(c >> 7)
	}
	return high*6 > len(body)
}

// appendBase64 appends body with CRLF line ends, as base64 in lines of 76.
func appendBase64(dst, body []byte) []byte {
	const chunk = lineMax / 4 * 3
	dst = slices.Grow(dst, len(body)*4/3+len(body)/chunk*2+64)
	var line [chunk]byte
	n := 0
	put := func(c byte) {
		if n == chunk {
			dst = append(base64.StdEncoding.AppendEncode(dst, line[:]), "\r\n"...)
			n = 0
		}
		line[n] = c
		n++
	}
	for i, c := range body {
		switch {
		case c == '\n' && i > 0 && body[i-1] == '\r':
			// the second half of CRLF
		case c == '\n' || c == '\r':
			put('\r')
			put('\n')
		default:
			put(c)
		}
	}
	return base64.StdEncoding.AppendEncode(dst, line[:n])
}

// literal marks the octets that quoted-printable leaves as they are (RFC
// 2045, 6.7, rule 2). Blanks are literal except at the end of a line.
var literal = func() (t [256]bool) {
	for c := 33; c <= 126; c++ {
		t[c] = c != '='
	}
	t[' '], t['\t'] = true, true
	return t
}()

// appendQP appends body as quoted-printable text. CRLF, LF and a lone CR all
// become CRLF. No line of the result begins with "." or "From ", so that
// neither dot-stuffing nor an mbox file touches it.
func appendQP(dst, body []byte) []byte {
	dst = slices.Grow(dst, len(body)+len(body)/16+64)
	for returns := bytes.IndexByte(body, '\r') >= 0; ; {
		var end int
		if returns {
			end = bytes.IndexAny(body, "\r\n")
		} else {
			end = bytes.IndexByte(body, '\n')
		}
		if end < 0 {
			return appendQPLine(dst, body)
		}
		dst = append(appendQPLine(dst, body[:end]), '\r', '\n')
		if body[end] == '\r' && end+1 < len(body) && body[end+1] == '\n' {
			end++
		}
		body = body[end+1:]
	}
}

// appendQPLine appends one line without its end, with soft breaks.
func appendQPLine(dst, line []byte) []byte {
	last := len(line) - 1
	column := 0
	for i := 0; i < len(line); {
		if column == 0 && (line[i] == '.' || line[i] == 'F' && bytes.HasPrefix(line[i:], fromLine)) {
			dst = appendOctet(dst, line[i])
			column, i = 3, i+1
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
		column, i = column+j-i, j
		if i > last {
			break
		}
		if encode := !literal[line[i]] || i == last && (line[i] == ' ' || line[i] == '\t'); encode {
			if column+3 > lineMax-1 {
				dst = append(dst, '=', '\r', '\n')
				column = 0
			}
			dst = appendOctet(dst, line[i])
			column, i = column+3, i+1
		} else {
			dst = append(dst, '=', '\r', '\n')
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
