package hooks_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"broadside/configs"
)

// How each provider signs; a year ago is always too old.

const (
	mailgunKey    = configs.Secret("key-of-mailgun")
	genericSecret = configs.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
)

type keyPair struct {
	private *ecdsa.PrivateKey
	public  string
}

var sendgridKey = sync.OnceValue(func() keyPair {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		panic(err)
	}
	return keyPair{private, base64.StdEncoding.EncodeToString(der)}
})

func unixText(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

func bySendgrid(t testing.TB, at time.Time, body string) letter {
	t.Helper()
	sum := sha256.Sum256([]byte(unixText(at) + body))
	signature, err := ecdsa.SignASN1(rand.Reader, sendgridKey().private, sum[:])
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	return letter{"sendgrid", map[string]string{
		"X-Twilio-Email-Event-Webhook-Signature": base64.StdEncoding.EncodeToString(signature),
		"X-Twilio-Email-Event-Webhook-Timestamp": unixText(at),
	}, body}
}

func byMailgun(at time.Time, token, event string) letter {
	mac := hmac.New(sha256.New, []byte(mailgunKey))
	mac.Write([]byte(unixText(at) + token))
	return letter{"mailgun", nil, fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`,
		unixText(at), token, hex.EncodeToString(mac.Sum(nil)), event)}
}

func byPostmark(body string) letter {
	login := base64.StdEncoding.EncodeToString([]byte("hook:pass:word"))
	return letter{"postmark", map[string]string{"Authorization": "Basic " + login}, body}
}

func byGeneric(t testing.TB, at time.Time, body string) letter {
	t.Helper()
	key, err := configs.GenericHook{Secret: genericSecret}.Key()
	if err != nil {
		t.Fatalf("key: %v", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("msg_1." + unixText(at) + "." + body))
	return letter{"generic", map[string]string{
		"webhook-id":        "msg_1",
		"webhook-timestamp": unixText(at),
		"webhook-signature": "v1,AAAA v1a,AAAA v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}, body}
}
