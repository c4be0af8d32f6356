package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
)

// Prefix stands before a message token in the local part of a return path, so
// that a mailbox which gets other mail too can tell ours apart. With it a
// local part has 42 of the 64 octets that RFC 5321 4.5.3.1.1 allows.
const Prefix = "b-"

// A Message is what a message token knows.
type Message struct {
	Ref   string // reference of the run: Ref(run id)
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

// Ref returns the short reference of a run id that message tokens carry: 13
// characters [a-z2-7] of the first 64 bits of its SHA-256. A run id itself
// can be longer than a local part may be. Two of a million runs share a
// reference with a probability of 1 in 37 million; whoever resolves one must
// have stored it with the run.
func Ref(run string) string {
	sum := sha256.Sum256([]byte(run))
	return lower.EncodeToString(sum[:refSize])
}

// Message returns the token of one message of a run, for its return path and
// its Message-ID: 40 characters [a-z2-7], the same for every attempt. part
// must be within 0 to 255 and index within 0 to 2^32-1.
func (k *Keys) Message(run string, part, index int) string {
	c := k.keys[0]
	var raw [rawSize]byte
	copy(raw[:], c.head[:])
	sum := sha256.Sum256([]byte(run))
	copy(raw[headSize:], sum[:refSize])
	raw[headSize+refSize] = byte(part)
	binary.BigEndian.PutUint32(raw[headSize+refSize+1:], uint32(index))
	copy(raw[signed:], c.mac(raw[:signed]))
	return lower.EncodeToString(raw[:])
}

// ParseMessage returns what Message signed in s, without the Prefix and in any
// case of letters, or ErrToken.
func (k *Keys) ParseMessage(s string) (Message, error) {
	var raw [rawSize]byte
	ok := decodeLower(raw[:], s)
	valid := false
	for _, c := range k.candidates(raw[:headSize]) {
		if hmac.Equal(c.mac(raw[:signed]), raw[signed:]) {
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

func (k *key) mac(data []byte) []byte {
	mac := hmac.New(sha256.New, k.sign)
	mac.Write(data)
	return mac.Sum(nil)[:macSize]
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
