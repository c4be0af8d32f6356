package message

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Encoded words (RFC 2047): "=?utf-8?q?" + text + "?=", at most 75 long; a
// line that holds one at most 76.
const (
	wordMax   = 75
	wordFrame = len("=?utf-8?q?") + len("?=")
)

// appendUnstructured appends the value of an unstructured header such as
// Subject, folded at 76; column is where it begins. The value has passed
// checkValue.
func appendUnstructured(dst []byte, column int, s string) []byte {
	if plain(column, s) {
		return appendFolded(dst, column, s)
	}

	special := 0
	for i := 0; i < len(s); i++ {
		if !wordLiteral(s[i]) {
			special++
		}
	}

	if special*6 > len(s) {
		return appendWords(dst, column, s, 'b')
	}

	return appendWords(dst, column, s, 'q')
}

// plain reports whether s can stand as it is: ASCII, nothing that looks like
// an encoded word, and single blanks where it can be folded.
func plain(column int, s string) bool {
	if !ascii(s) || strings.Contains(s, "=?") || strings.Contains(s, "  ") || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return false
	}

	for word := range strings.SplitSeq(s, " ") {
		if column+len(word) > lineMax || len(word) >= lineMax {
			return false
		}
		column = 0 // the others can stand on a line of their own
	}

	return true
}

func appendFolded(dst []byte, column int, s string) []byte {
	first := true
	for word := range strings.SplitSeq(s, " ") {
		if !first {
			if column+1+len(word) > lineMax {
				dst = append(dst, '\r', '\n')
				column = 0
			}
			dst = append(dst, ' ')
			column++
		}
		dst = append(dst, word...)
		column += len(word)
		first = false
	}

	return dst
}

// appendWords appends s as encoded words, broken between characters: blanks
// between two encoded words vanish when they are read.
func appendWords(dst []byte, column int, s string, encoding byte) []byte {
	for first := true; first || s != ""; first = false {
		room := wordMax - wordFrame
		if first {
			room = min(room, lineMax-column-wordFrame)
		} else {
			dst = append(dst, '\r', '\n', ' ')
		}

		n := fit(s, room, encoding)
		dst = append(append(append(dst, "=?utf-8?"...), encoding), '?')
		if encoding == 'b' {
			dst = base64.StdEncoding.AppendEncode(dst, []byte(s[:n]))
		} else {
			dst = appendQ(dst, s[:n])
		}

		dst = append(dst, '?', '=')
		s = s[n:]
	}

	return dst
}

// fit returns how many bytes of s, in whole characters, encode to at most
// room octets.
func fit(s string, room int, encoding byte) int {
	n := 0
	used := 0
	for n < len(s) {
		_, size := utf8.DecodeRuneInString(s[n:])
		if encoding == 'b' {
			used = (n + size + 2) / 3 * 4
		} else if wordLiteral(s[n]) || s[n] == ' ' {
			used++
		} else {
			used += 3 * size
		}

		if used > room {
			return n
		}
		n += size
	}

	return n
}

func appendQ(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			dst = append(dst, '_')
		case wordLiteral(c):
			dst = append(dst, c)
		default:
			dst = appendOctet(dst, c)
		}
	}

	return dst
}

// wordLiteral reports whether c may stand for itself in an encoded word
// anywhere in a message (RFC 2047, 5 (3)).
func wordLiteral(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '!' || c == '*' || c == '+' || c == '-' || c == '/'
}
