package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"
)

// OpenPath is what comes between the public URL and the token in the address of the
// picture that shows that a message was opened.
const OpenPath = "/o/"

// A Reader is what a reader token knows: which recipient a message was made for, and when.
type Reader struct {
	Ref   string // reference of the run: 13 characters [a-z2-7]
	Part  int
	Index int
	Sent  time.Time // the Date of the message, in whole seconds
}

const (
	readerSigned  = headSize + refSize + 1 + 4 + 4
	readerMACSize = 11
	readerRawSize = readerSigned + readerMACSize

	// readerSize is the length of a reader token: 40, so that no bits are left over.
	readerSize = readerRawSize * 8 / 6
)

// AppendReader appends the token that names the reader of one message in its links: 40
// characters of base64url. The key is not that of message tokens: links are passed on
// and published, and a stranger who has one must not be able to return the message.
func (k *Keys) AppendReader(dst []byte, run string, part, index int, sent time.Time) []byte {
	c := k.keys[0]
	start := len(dst)
	dst = slices.Grow(dst, readerSize+readerSigned+sha256.Size)
	raw := append(dst[start+readerSize:start+readerSize], c.head[:]...) // behind the token
	ref := refOf(run)
	raw = append(append(raw, ref[:]...), byte(part))
	raw = binary.BigEndian.AppendUint32(raw, uint32(index))
	raw = binary.BigEndian.AppendUint32(raw, uint32(sent.Unix()))
	raw = c.reader.append(raw, raw)
	dst = dst[:start+readerSize]
	base64.RawURLEncoding.Encode(dst[start:], raw[:readerRawSize])

	return dst
}

// ParseReader returns what AppendReader signed in s, or ErrToken.
func (k *Keys) ParseReader(s string) (Reader, error) {
	raw, err := decode(s)
	if err != nil || len(raw) != readerRawSize {
		raw = make([]byte, readerRawSize) // compared in vain: no answer is quicker than another
	}

	valid := false
	for _, c := range k.candidates(raw[:headSize]) {
		if hmac.Equal(c.reader.append(nil, raw[:readerSigned])[:readerMACSize], raw[readerSigned:]) {
			valid = true
		}
	}
	if !valid {
		return Reader{}, ErrToken
	}

	rest := raw[headSize+refSize:]
	return Reader{
		Ref:   lower.EncodeToString(raw[headSize : headSize+refSize]),
		Part:  int(rest[0]),
		Index: int(binary.BigEndian.Uint32(rest[1:])),
		Sent:  time.Unix(int64(binary.BigEndian.Uint32(rest[5:])), 0),
	}, nil
}
