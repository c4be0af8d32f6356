package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
)

// ErrToken is the one answer to every token that does not open: cut, changed,
// forged, or made with a secret that is no longer configured. That it does not
// say which is deliberate.
var ErrToken = errors.New("token is not valid")

// MinSecret is the length in bytes below which a secret is refused.
const MinSecret = 32

// version is the format of the tokens that are made now.
const version = 1

// Keys makes and opens tokens. It is safe for concurrent use.
type Keys struct {
	keys []*key // the first makes tokens; never empty
}

// key is what is derived from one secret: a sub-key for each purpose, so that knowing
// one is of no use for another.
type key struct {
	head        [2]byte // version and key number
	unsubscribe sealer
	subscribe   sealer // of the links that confirm a subscription
	link        sealer // of where clicks lead
	sign        *macs  // message tokens
	reader      *macs  // reader tokens
}

// macs makes HMACs with one key. They are reused, so that the key is set up only once.
type macs struct{ pool sync.Pool }

func newMACs(key []byte) *macs {
	return &macs{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// append appends the HMAC-SHA256 of data to dst.
func (m *macs) append(dst, data []byte) []byte {
	h := m.pool.Get().(hash.Hash)
	defer m.pool.Put(h)
	h.Reset()
	h.Write(data)
	return h.Sum(dst)
}

// NewKeys derives the keys of secrets. The first secret makes tokens, all of
// them open. It refuses an empty list and secrets shorter than MinSecret.
func NewKeys(secrets []string) (*Keys, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no secret is configured")
	}

	k := &Keys{}
	for i, s := range secrets {
		if len(s) < MinSecret {
			return nil, fmt.Errorf("secret %d has %d bytes, expected at least %d", i+1, len(s), MinSecret)
		}
		if slices.Index(secrets, s) < i {
			continue
		}
		derived, err := newKey(s)
		if err != nil {
			return nil, fmt.Errorf("derive keys of secret %d: %w", i+1, err)
		}
		k.keys = append(k.keys, derived)
	}

	return k, nil
}

func newKey(secret string) (*key, error) {
	var id, sign, reader []byte
	var unsubscribe, subscribe, link struct{ seal, nonce []byte }
	for _, d := range []struct {
		purpose string
		size    int
		to      *[]byte
	}{
		{"broadside key number", 2, &id},
		{"broadside unsubscribe seal", 32, &unsubscribe.seal},
		{"broadside unsubscribe nonce", 32, &unsubscribe.nonce},
		{"broadside message", 32, &sign},
		{"broadside subscribe seal", 32, &subscribe.seal},
		{"broadside subscribe nonce", 32, &subscribe.nonce},
		{"broadside link seal", 32, &link.seal},
		{"broadside link nonce", 32, &link.nonce},
		{"broadside reader", 32, &reader},
	} {
		var err error
		if *d.to, err = hkdf.Key(sha256.New, []byte(secret), nil, d.purpose, d.size); err != nil {
			return nil, fmt.Errorf("derive %s: %w", d.purpose, err)
		}
	}

	k := &key{sign: newMACs(sign), reader: newMACs(reader)}
	var err error
	if k.unsubscribe, err = newSealer(unsubscribe.seal, unsubscribe.nonce); err != nil {
		return nil, err
	}
	if k.subscribe, err = newSealer(subscribe.seal, subscribe.nonce); err != nil {
		return nil, err
	}
	if k.link, err = newSealer(link.seal, link.nonce); err != nil {
		return nil, err
	}

	binary.BigEndian.PutUint16(k.head[:], version<<12|binary.BigEndian.Uint16(id)&0xfff)
	return k, nil
}

// candidates returns the keys that may have made a token with this head, or
// the first key when there is none: a token of an unknown key costs as much
// work as a forged one, and fails because the head is authenticated too.
func (k *Keys) candidates(head []byte) []*key {
	var found []*key
	for _, c := range k.keys {
		if string(c.head[:]) == string(head) {
			found = append(found, c)
		}
	}

	if found == nil {
		return k.keys[:1]
	}

	return found
}
