package token

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"strings"
)

// Path is what comes between the public URL and the token in an unsubscribe link.
const Path = "/u/"

// An Unsubscribe is what an unsubscribe link knows.
type Unsubscribe struct {
	Topic   string // what the reader unsubscribes from
	Run     string // id of the run whose message carried the link
	Address string // who unsubscribes
	Test    bool   // the link of a test message, which unsubscribes no one
}

const (
	headSize  = 2
	nonceSize = 12
	tagSize   = 16

	flagTest = 1

	// maxSealed bounds what Open looks at, in characters.
	maxSealed = 2048
)

// encoding refuses a last character whose unused bits are set: two texts
// would open as one token.
var encoding = base64.RawURLEncoding.Strict()

// Seal returns the token of u: the same for the same u in every process and
// at every time, as long as the first secret stays. The nonce is derived from
// the content, so that it repeats only where the content does (and then the
// whole token does): two contents under one nonce are to be expected only
// around 2^48 tokens of one secret.
func (k *Keys) Seal(u Unsubscribe) string { return string(k.AppendSeal(nil, u)) }

// AppendSeal appends Seal to dst.
func (k *Keys) AppendSeal(dst []byte, u Unsubscribe) []byte {
	c := k.keys[0]
	return c.appendSealed(dst, &c.unsubscribe, u.size(), u.append)
}

// Open returns what Seal sealed in s, or ErrToken.
func (k *Keys) Open(s string) (Unsubscribe, error) {
	var u Unsubscribe
	ok := k.open(s, func(c *key) *sealer { return &c.unsubscribe }, func(content []byte) (ok bool) {
		u, ok = parse(content)
		return ok
	})
	if !ok {
		return Unsubscribe{}, ErrToken
	}
	return u, nil
}

// Cut returns the token in a text that mail programs may have lengthened. Characters
// that cannot be in an unsubscribe token are skipped at the beginning, and end the
// token behind it.
func Cut(text string) string {
	text = strings.TrimLeftFunc(text, notBase64URL)
	if end := strings.IndexFunc(text, notBase64URL); end >= 0 {
		return text[:end]
	}
	return text
}

// notBase64URL reports whether r is not of the alphabet of base64url.
func notBase64URL(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	digit := r >= '0' && r <= '9'
	return !letter && !digit && r != '-' && r != '_'
}

func decode(s string) ([]byte, error) {
	// The decoder skips line ends, which would make two texts of one token.
	if len(s) > maxSealed || strings.ContainsAny(s, "\r\n") {
		return nil, ErrToken
	}
	return encoding.DecodeString(s)
}

// size is the length of what append appends.
func (u Unsubscribe) size() int {
	n := 1
	for _, s := range []string{u.Topic, u.Run, u.Address} {
		n += uvarintSize(len(s)) + len(s)
	}
	return n
}

// uvarintSize is how many bytes a number takes.
func uvarintSize(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

func (u Unsubscribe) append(b []byte) []byte {
	var flags byte
	if u.Test {
		flags |= flagTest
	}

	b = append(b, flags)
	for _, s := range []string{u.Topic, u.Run, u.Address} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}

	return b
}

// parse reads an authentic content; false means that a later version of the
// format wrote it.
func parse(b []byte) (Unsubscribe, bool) {
	if len(b) == 0 || b[0]&^flagTest != 0 {
		return Unsubscribe{}, false
	}

	u := Unsubscribe{Test: b[0]&flagTest != 0}
	b = b[1:]
	for _, to := range []*string{&u.Topic, &u.Run, &u.Address} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return Unsubscribe{}, false
		}
		*to = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}

	return u, len(b) == 0
}
