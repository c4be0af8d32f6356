package token

import (
	"encoding/binary"
	"net/url"
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
	return c.appendSealed(dst, &c.link, l.size(), l.append)
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
	var l Link
	ok := k.open(s, func(c *key) *sealer { return &c.link }, func(content []byte) (ok bool) {
		l, ok = parseLink(content)
		return ok
	})
	if !ok {
		return Link{}, ErrToken
	}
	return l, nil
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
	Known  bool // the reader's token opened too; if not, the link leads on, and no one is counted
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
