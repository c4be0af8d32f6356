package hooks

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"sync"
	"time"
)

// snsHost is where SNS has its certificates and its confirmations: sns, and the name of a
// region such as us-gov-west-1. sns.s3 and sns.s3-us-west-2 would be somebody's storage.
var snsHost = regexp.MustCompile(`^sns\.[a-z]+(-[a-z]+)+-[0-9]+\.amazonaws\.com(\.cn)?$`)

// maxCertificates is more than SNS has in use.
const maxCertificates = 100

// certificates gets the certificates of SNS, verifies them, and keeps them until they
// expire. It is safe for concurrent use.
type certificates struct {
	get   getter
	roots *x509.CertPool // nil: those of the system
	turn  chan struct{}  // of the one who gets a certificate

	mu    sync.Mutex
	known map[string]*x509.Certificate // by address; guarded by mu
}

func newCertificates(get getter, roots *x509.CertPool) *certificates {
	return &certificates{get: get, roots: roots, turn: make(chan struct{}, 1), known: map[string]*x509.Certificate{}}
}

// key returns the key of the certificate at an address.
func (c *certificates) key(ctx context.Context, address string, now time.Time) (*rsa.PublicKey, error) {
	u, err := snsURL(address)
	if err == nil && (path.Ext(u.Path) != ".pem" || u.RawQuery != "") {
		err = fmt.Errorf("found %.300q, expected the address of a .pem file", address)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: SigningCertURL: %w", errUnsigned, err)
	}
	if cert := c.find(address, now); cert != nil {
		return cert.PublicKey.(*rsa.PublicKey), nil
	}

	// One at a time: others wait for the same certificate, or are not of SNS.
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a certificate of SNS: %w", context.Cause(ctx))
	}
	if cert := c.find(address, now); cert != nil {
		return cert.PublicKey.(*rsa.PublicKey), nil
	}

	data, err := c.get(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("get a certificate of SNS: %w", err)
	}
	cert, err := c.verify(ctx, data, now)
	if err != nil {
		return nil, fmt.Errorf("verify the certificate %s: %w", address, err)
	}
	c.keep(address, cert)
	return cert.PublicKey.(*rsa.PublicKey), nil
}

func (c *certificates) find(address string, now time.Time) *x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	cert := c.known[address]
	if cert == nil || now.After(cert.NotAfter) {
		return nil
	}
	return cert
}

func (c *certificates) keep(address string, cert *x509.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxCertificates {
		clear(c.known) // the few in use are soon got again
	}
	c.known[address] = cert
}

// snsURL reads an address that must be one of SNS: anything else could be a service
// inside our network.
func snsURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || !snsHost.MatchString(u.Host) {
		return nil, fmt.Errorf("found %.300q, expected https and a host such as sns.eu-west-1.amazonaws.com", text)
	}
	return u, nil
}
