package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are PEM files of a certificate authority that exists for one
// test, and of servers on 127.0.0.1, ::1 and localhost that it vouches for.
type Certificates struct {
	CAFile  string
	Valid   KeyPair
	Expired KeyPair // was valid until an hour ago
}

// A KeyPair names the PEM files of a certificate and its key.
type KeyPair struct{ CertFile, KeyFile string }

// Certs makes a certificate authority and its certificates.
func Certs(t testing.TB) Certificates {
	t.Helper()
	dir := t.TempDir()
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Broadside test authority"},
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caPair, caKey := issue(t, dir, "ca", ca, ca, nil)
	server := func(name string, serial int64, until time.Time) KeyPair {
		pair, _ := issue(t, dir, name, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"},
			NotBefore: now.Add(-24 * time.Hour), NotAfter: until,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		}, ca, caKey)
		return pair
	}
	return Certificates{
		CAFile:  caPair.CertFile,
		Valid:   server("valid", 2, now.Add(24*time.Hour)),
		Expired: server("expired", 3, now.Add(-time.Hour)),
	}
}

// issue writes a certificate signed by parent, or by itself without signer.
func issue(t testing.TB, dir, name string, cert, parent *x509.Certificate, signer *ecdsa.PrivateKey) (KeyPair, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make key %s: %v", name, err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatalf("make certificate %s: %v", name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("make key %s: %v", name, err)
	}
	pair := KeyPair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{
		pair.CertFile: {Type: "CERTIFICATE", Bytes: der},
		pair.KeyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatalf("write certificate: %v", err)
		}
	}
	return pair, key
}
