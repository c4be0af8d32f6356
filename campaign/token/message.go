package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"slices"
)

// Prefix stands before a message token in the local part of a return path, so that
// our messages can be told from other mail in the same mailbox. With it a local part
// has 42 of the 64 octets that RFC 5321 4.5.3.1.1 allows.
const Prefix = "b-"

// A Message is what a message token knows.
type Message struct {
	Ref   string // reference of the run: 13 characters [a-z2-7]
	Part  int
	Index int
}

const (
	refSize   = 8
	signed    = headSize + refSize + 1 + 4
	macSize   = 10 // 80 bits
	rawSize   = signed + macSize
	tokenSize = rawSize * 8 / 5 // 40: no bits are left over
)

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// refOf returns the short reference of a run id that message tokens carry: the
// first 64 bits of its SHA-256. A run id itself can be longer than a local part
// may be. Two of a million runs share a reference with a probability of 1 in 37
// million. It is resolved by those of the runs that are kept.
func refOf(run string) [refSize]byte {
	var id [64]byte // on the stack: most ids are shorter
	sum := sha256.Sum256(append(id[:0], run...))
	return [refSize]byte(sum[:])
}

// Ref returns the reference of a run as ParseMessage returns it.
func Ref(run string) string {
	ref := refOf(run)
	return lower.EncodeToString(ref[:])
}

// Message returns the token of one message of a run, for its return path and
// its Message-ID: 40 characters [a-z2-7], the same for every attempt. part
// must be within 0 to 255 and index within 0 to 2^32-1.
func (k *Keys) Message(run string, part, index int) string {
	return string(k.AppendMessage(nil, run, part, index))
}

// AppendMessage appends Message to dst.
func (k *Keys) AppendMessage(dst []byte, run string, part, index int) []byte {
	c := k.keys[0]
	start := len(dst)
	dst = slices.Grow(dst, tokenSize+signed+sha256.Size)
	raw := append(dst[start+tokenSize:start+tokenSize], c.head[:]...) // behind the token
	ref := refOf(run)
	raw = append(append(raw, ref[:]...), byte(part))
	raw = binary.BigEndian.AppendUint32(raw, uint32(index))
	raw = c.sign.append(raw, raw)
	dst = dst[:start+tokenSize]
	lower.Encode(dst[start:], raw[:rawSize])

	return dst
}

// ParseMessage returns what Message signed in s, without the Prefix and in any
// case of letters, or ErrToken.
func (k *Keys) ParseMessage(s string) (Message, error) {
	var raw [rawSize]byte
	ok := decodeLower(raw[:], s)
	valid := false
	for _, c := range k.candidates(raw[:headSize]) {
		if hmac.Equal(c.sign.append(nil, raw[:signed])[:macSize], raw[signed:]) {
			valid = true
		}
	}

	if !ok || !valid {
		return Message{}, ErrToken
	}

	return Message{
		Ref:   lower.EncodeToString(raw[headSize : headSize+refSize]),
		Part:  int(raw[headSize+refSize]),
		Index: int(binary.BigEndian.Uint32(raw[headSize+refSize+1:])),
	}, nil
}

// decodeLower decodes exactly one token. It does not leave the alphabet to
// the decoder, which would skip line ends.
func decodeLower(dst []byte, s string) bool {
	if len(s) != tokenSize {
		return false
	}

	var text [tokenSize]byte
	for i := range len(s) {
		b := s[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if (b < 'a' || b > 'z') && (b < '2' || b > '7') {
			return false
		}
		text[i] = b
	}

	n, err := lower.Decode(dst, text[:])
	return err == nil && n == len(dst)
}
