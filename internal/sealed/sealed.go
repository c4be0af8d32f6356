// Package sealed encrypts what is stored in Redis and must not be read there: AES-GCM
// under keys that are derived from the secrets of the installation, one for each purpose,
// so that knowing one is of no use for another.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Err: a stored value was changed, belongs to something else, or was sealed with a secret
// that is no longer configured.
var Err = errors.New("sealed value does not open")

// Keys encrypt for one purpose: the first one seals, all of them open. Without secrets
// there are none.
type Keys []cipher.AEAD

// New derives keys from the secrets of the installation. Every purpose has its own.
func New(secrets []string, purpose string) (Keys, error) {
	var all Keys
	for i, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, 32)
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

// Seal encrypts a value. about must be the same when it is opened.
func (k Keys) Seal(value []byte, about string) []byte {
	nonce := make([]byte, k[0].NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return k[0].Seal(nonce, nonce, value, []byte(about))
}

// Open returns what Seal was given, or Err.
func (k Keys) Open(sealed []byte, about string) ([]byte, error) {
	for _, aead := range k {
		size := aead.NonceSize()
		if len(sealed) < size {
			break
		}
		value, err := aead.Open(nil, sealed[:size], sealed[size:], []byte(about))
		if err == nil {
			return value, nil
		}
	}
	return nil, Err
}
