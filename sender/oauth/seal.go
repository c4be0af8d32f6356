package oauth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// errSealed: a stored value was changed, belongs to another account or configuration, or
// was sealed with a secret that is no longer configured.
var errSealed = errors.New("sealed value does not open")

// sealers encrypt what is stored: the first one seals, all of them open.
type sealers []cipher.AEAD

// newSealers derives a key of its own purpose from each secret of the installation, so
// that knowing one is of no use for the tokens in links, and the other way round.
func newSealers(secrets []string) (sealers, error) {
	var all sealers
	for i, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "broadside oauth seal", 32)
		if err != nil {
			return nil, fmt.Errorf("derive the key of secret %d: %w", i+1, err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("use the key of secret %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("use the key of secret %d: %w", i+1, err)
		}
		all = append(all, aead)
	}
	return all, nil
}

// seal encrypts a value. about must be the same when it is opened.
func (s sealers) seal(value []byte, about string) []byte {
	nonce := make([]byte, s[0].NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return s[0].Seal(nonce, nonce, value, []byte(about))
}

// open returns what seal was given, or errSealed.
func (s sealers) open(sealed []byte, about string) ([]byte, error) {
	for _, aead := range s {
		size := aead.NonceSize()
		if len(sealed) < size {
			break
		}
		value, err := aead.Open(nil, sealed[:size], sealed[size:], []byte(about))
		if err == nil {
			return value, nil
		}
	}
	return nil, errSealed
}
