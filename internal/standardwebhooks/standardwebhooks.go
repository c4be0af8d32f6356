// Package standardwebhooks signs requests and verifies them as Standard Webhooks
// describes (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
// with a shared secret: HMAC-SHA256 over id, time and body, with a dot between them.
//
// What we send is signed by it, and what others send to /hooks/generic is verified by it.
// It promises that both agree, and that a comparison takes the same time wherever the
// signatures differ. It does not look at the time that was signed.
package standardwebhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a request.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp" // seconds since 1970
	HeaderSignature = "webhook-signature" // one or several, with blanks between them
)

const (
	// Prefix begins a secret that is written in base64.
	Prefix = "whsec_"
	// version begins a signature by a shared secret.
	version = "v1,"
)

// Limits of a key in bytes ("Signature scheme").
const (
	minKey = 24
	maxKey = 64
)

// Key returns the key that a secret stands for: what comes after whsec_ in base64, and
// the bytes of the text itself where that is not in front. The error does not show it.
func Key(secret string) ([]byte, error) {
	text, encoded := strings.CutPrefix(secret, Prefix)
	key := []byte(text)
	if encoded {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errors.New("expected base64 after whsec_") // the error of base64 would quote it
		}
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, errors.New("expected 24 to 64 bytes")
	}
	return key, nil
}

// Sign puts id, time and signature of a body into the headers of a request.
func Sign(h http.Header, key []byte, id string, at time.Time, body []byte) {
	seconds := strconv.FormatInt(at.Unix(), 10)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, seconds)
	h.Set(HeaderSignature, version+base64.StdEncoding.EncodeToString(sum(key, id, seconds, body)))
}

// Verify reports whether one of the signatures in the headers of a request is that of
// the key. There are several while a secret is being changed.
func Verify(h http.Header, key, body []byte) bool {
	id := h.Get(HeaderID)
	if id == "" {
		return false
	}

	want := sum(key, id, h.Get(HeaderTimestamp), body)
	fits := false
	for signature := range strings.FieldsSeq(h.Get(HeaderSignature)) {
		text, ok := strings.CutPrefix(signature, version)
		given, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && hmac.Equal(given, want) {
			fits = true
		}
	}
	return fits
}

func sum(key []byte, id, seconds string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + seconds + "."))
	mac.Write(body)
	return mac.Sum(nil)
}
