package configs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"

	"broadside/internal/standardwebhooks"
)

// Hooks are the webhooks by which providers tell what became of messages, with what
// shows that it is them. nil is one that is not taken.
type Hooks struct {
	SES      *SESHook
	Sendgrid *SendgridHook
	Mailgun  *MailgunHook
	Postmark *PostmarkHook
	Generic  *GenericHook
}

// Any reports whether one of them is taken.
func (h Hooks) Any() bool { return h != Hooks{} }

// SESHook takes the notifications of Amazon SES, which come through SNS.
type SESHook struct {
	TopicArns []string // the SNS topics that are believed
}

// SendgridHook takes SendGrid's Event Webhook, signed.
type SendgridHook struct {
	PublicKey string // in base64, as SendGrid shows it
}

// MailgunHook takes the webhooks of Mailgun.
type MailgunHook struct {
	SigningKey Secret
}

// PostmarkHook takes the webhooks of Postmark. It does not sign them; it logs in.
type PostmarkHook struct {
	Username string
	Password Secret
}

// GenericHook takes webhooks of others, signed as Standard Webhooks describes.
type GenericHook struct {
	Secret Secret // whsec_ and base64
}

// Key returns the key that verifies what SendGrid signs: ECDSA on P-256, as
// SubjectPublicKeyInfo without the lines of PEM.
func (h SendgridHook) Key() (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(h.PublicKey)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}

	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("expected an ECDSA key on P-256")
	}
	return key, nil
}

// Key returns the key of the HMAC.
func (h GenericHook) Key() ([]byte, error) {
	if !strings.HasPrefix(h.Secret.Reveal(), standardwebhooks.Prefix) {
		return nil, errors.New("expected whsec_ in front")
	}
	return standardwebhooks.Key(h.Secret.Reveal())
}
