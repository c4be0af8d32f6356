package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"slices"
)

// A sealer seals contents of one kind.
type sealer struct {
	aead  cipher.AEAD
	nonce *macs // content -> nonce
}

func newSealer(seal, nonce []byte) (sealer, error) {
	block, err := aes.NewCipher(seal)
	if err != nil {
		return sealer{}, fmt.Errorf("use AES key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return sealer{}, fmt.Errorf("use AES-GCM: %w", err)
	}
	return sealer{aead, newMACs(nonce)}, nil
}

// appendSealed appends the token of what content appends, which is so many bytes. It
// needs no memory but that of dst.
func (c *key) appendSealed(dst []byte, s *sealer, size int, content func([]byte) []byte) []byte {
	start := len(dst)
	size += headSize + nonceSize + tagSize
	end := start + encoding.EncodedLen(size)
	dst = slices.Grow(dst, end-start+size+sha256.Size)
	raw := append(dst[end:end], c.head[:]...) // behind the token
	raw = raw[:headSize+nonceSize]
	text := content(raw)[len(raw):]
	copy(raw[headSize:], s.nonce.append(text, text)[len(text):][:nonceSize])
	raw = s.aead.Seal(raw, raw[headSize:], text, c.head[:]) // in the place of text
	dst = dst[:end]
	encoding.Encode(dst[start:], raw)
	return dst
}

// open calls read with the content of a token, by the sealer of each key that may have
// sealed it, until read takes one. It reports whether one was taken.
func (k *Keys) open(s string, of func(*key) *sealer, read func(content []byte) bool) bool {
	raw, err := decode(s)
	if err != nil || len(raw) < headSize+nonceSize+tagSize {
		raw = make([]byte, headSize+nonceSize+tagSize+64) // opened in vain: no answer is quicker than another
	}

	head := raw[:headSize]
	nonce := raw[headSize : headSize+nonceSize]
	sealed := raw[headSize+nonceSize:]
	for _, c := range k.candidates(head) {
		content, err := of(c).aead.Open(nil, nonce, sealed, head)
		if err == nil && read(content) {
			return true
		}
	}
	return false
}
