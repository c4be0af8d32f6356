package token

import (
	"crypto/sha256"
	"encoding/binary"
	"net/url"
	"slices"
	"strings"
)

// ClickPath is what comes between the public URL and the tokens in a link whose clicks
// are counted: first that of the reader, then that of the link.
const ClickPath = "/c/"

// MaxTarget is how many bytes the target of a link may have. A longer one would make a
// URL that some mail programs cut.
const MaxTarget = 1000

// A Link is what a link token knows.
type Link struct {
	Number int    // of the link in its letter, from 1
	Of     int    // how many links the letter has
	Target string // an absolute http or https URL of printable ASCII
}

// IsTarget reports whether a link may lead to a URL: it is absolute, with http or https,
// of printable ASCII, and at most MaxTarget long.
func IsTarget(target string) bool {
	if len(target) > MaxTarget {
		return false
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] > '~' {
			return false
		}
	}
	u, err := url.Parse(target)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https"))
}

// AppendLink appends the token of a link, which is the same in all letters of a run, as
// far as the target is. It is sealed as unsubscribe tokens are, under keys of its own.
func (k *Keys) AppendLink(dst []byte, l Link) []byte {
	c := k.keys[0]
	start := len(dst)
	size := headSize + nonceSize + l.size() + tagSize
	end := start + encoding.EncodedLen(size)
	dst = slices.Grow(dst, end-start+size+sha256.Size)
	raw := append(dst[end:end], c.head[:]...) // behind the token
	raw = raw[:headSize+nonceSize]
	content := l.append(raw)[len(raw):]
	copy(raw[headSize:], c.link.nonce.append(content, content)[len(content):][:nonceSize])
	raw = c.link.aead.Seal(raw, raw[headSize:], content, c.head[:]) // in the place of content
	dst = dst[:end]
	encoding.Encode(dst[start:], raw)

	return dst
}

// size is the length of what append appends.
func (l Link) size() int { return uvarintSize(l.Number) + uvarintSize(l.Of) + len(l.Target) }

func (l Link) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(l.Number))
	b = binary.AppendUvarint(b, uint64(l.Of))
	return append(b, l.Target...)
}

// LinkSize returns the length of the token of a link with a target of n bytes, give or
// take what its numbers need.
func LinkSize(n int) int { return encoding.EncodedLen(headSize + nonceSize + 2 + n + tagSize) }

// OpenLink returns what AppendLink sealed in s, or ErrToken.
func (k *Keys) OpenLink(s string) (Link, error) {
	raw, err := decode(s)
	if err != nil || len(raw) < headSize+nonceSize+tagSize {
		raw = make([]byte, headSize+nonceSize+tagSize+64) // opened in vain: no answer is quicker than another
	}

	head := raw[:headSize]
	nonce := raw[headSize : headSize+nonceSize]
	sealed := raw[headSize+nonceSize:]
	for _, c := range k.candidates(head) {
		content, err := c.link.aead.Open(nil, nonce, sealed, head)
		if err != nil {
			continue
		}
		if l, ok := parseLink(content); ok {
			return l, nil
		}
	}

	return Link{}, ErrToken
}

// parseLink reads an authentic content. It checks the target once more: nothing but a web
// address ever becomes a redirect, whatever made the token.
func parseLink(b []byte) (Link, bool) {
	number, n := binary.Uvarint(b)
	if n <= 0 || number > 1<<16 {
		return Link{}, false
	}
	of, m := binary.Uvarint(b[n:])
	if m <= 0 || of > 1<<16 {
		return Link{}, false
	}
	l := Link{Number: int(number), Of: int(of), Target: string(b[n+m:])}
	return l, IsTarget(l.Target)
}

// A Click is what the tokens of a link know.
type Click struct {
	Link
	Reader Reader
	Known  bool // the reader's token opened too; if not, the link leads on, and nobody is counted
}

// OpenClick opens the text behind ClickPath. The error is ErrToken when it is not known
// where the link leads.
func (k *Keys) OpenClick(text string) (Click, error) {
	if len(text) < readerSize {
		text = strings.Repeat("A", readerSize) + text
	}
	l, err := k.OpenLink(text[readerSize:])
	if err != nil {
		return Click{}, err
	}
	r, err := k.ParseReader(text[:readerSize])
	return Click{Link: l, Reader: r, Known: err == nil}, nil
}
