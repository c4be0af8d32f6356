package hooks_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"time"
)

const (
	topic    = "arn:aws:sns:eu-west-1:123456789012:ses"
	certURL  = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-x.pem"
	issueURL = "http://crt.r2m01.amazontrust.com/r2m01.cer"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// amazon stands for SNS and its authority: a root, an issuer below it and certificates
// of SNS. All have one key, which nothing here depends on. It answers requests with
// what is in files.
type amazon struct {
	t            testing.TB
	root, issuer *x509.Certificate

	mu    sync.Mutex
	files map[string][]byte
	asked []string
}

func newAmazon(t testing.TB) *amazon {
	a := &amazon{t: t, files: map[string][]byte{}}
	a.root = a.issue(authority("Root CA 1"), nil)
	a.issuer = a.issue(authority("RSA 2048 M01"), a.root)
	a.files[issueURL] = a.issuer.Raw
	a.files[certURL] = inPEM(a.issue(ofSNS("sns.amazonaws.com"), a.issuer))
	return a
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// ofSNS is a certificate that leaves its issuer out, as those of SNS do.
func ofSNS(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, IssuingCertificateURL: []string{"http://other.example/x.cer", issueURL},
	}
}

// issue signs a certificate, by itself without a parent. It is valid for an hour, unless
// it says something else.
func (a *amazon) issue(c, parent *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	c.NotBefore = c.NotAfter.Add(-2 * time.Hour)
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &rsaKey().PublicKey, rsaKey())
	if err != nil {
		a.t.Fatalf("issue a certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatalf("read the certificate: %v", err)
	}
	return cert
}

func inPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func (a *amazon) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// RoundTrip answers 200 with the file at an address, or 404.
func (a *amazon) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	address := req.URL.String()
	a.asked = append(a.asked, address)
	file, ok := a.files[address]
	res := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(file)), Request: req}
	if !ok {
		res.StatusCode = 404
	}
	if bytes.HasPrefix(file, []byte("redirect ")) {
		res.StatusCode = 302
		res.Header.Set("Location", string(file[len("redirect "):]))
	}
	return res, nil
}

// A message of SNS, as its fields.
type message map[string]string

func notification(inner string) message {
	return message{
		"Type": "Notification", "MessageId": "ntf-1", "TopicArn": topic, "Timestamp": isoNow(), "Message": inner,
		"SignatureVersion": "2", "SigningCertURL": certURL,
	}
}

func isoNow() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

// signedFields are the names of what SNS signs, in order.
var signedFields = map[string][]string{
	"Notification":             {"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"},
	"SubscriptionConfirmation": {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
	"UnsubscribeConfirmation":  {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"},
}

// bySNS signs a message with its version and puts it into a request.
func bySNS(t testing.TB, m message) letter {
	t.Helper()
	var text []byte
	for _, name := range signedFields[m["Type"]] {
		if value, ok := m[name]; ok {
			text = append(text, name+"\n"+value+"\n"...)
		}
	}

	hash := crypto.SHA256
	sum256 := sha256.Sum256(text)
	sum := sum256[:]
	if m["SignatureVersion"] == "1" {
		hash = crypto.SHA1
		sum1 := sha1.Sum(text)
		sum = sum1[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(), hash, sum)
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("write JSON: %v", err)
	}
	return letter{"ses", map[string]string{"Content-Type": "text/plain; charset=UTF-8"}, string(body)}
}
