package hooks

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"
)

var (
	// snsName is the host that a certificate of SNS is for: sns.amazonaws.com, or one of a region,
	// such as sns-signing.af-south-1.amazonaws.com.
	snsName = regexp.MustCompile(`^sns(-[a-z0-9-]+)?(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?$`)

	// issuerHost is where Amazon's authority has the certificates of its issuers.
	issuerHost = regexp.MustCompile(`^crt\.[a-z0-9-]+\.amazontrust\.com$`)
)

// verify returns the first certificate of a PEM file, if it is one of SNS with an RSA
// key, and an authority vouches for it.
func (c *certificates) verify(ctx context.Context, data []byte, now time.Time) (*x509.Certificate, error) {
	chain, err := readPEM(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnsigned, err)
	}
	cert := chain[0]
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return nil, fmt.Errorf("%w: found a key of type %T, expected RSA", errUnsigned, cert.PublicKey)
	}
	if !slices.ContainsFunc(cert.DNSNames, snsName.MatchString) {
		return nil, fmt.Errorf("%w: found the names %.300q, expected one of SNS", errUnsigned, cert.DNSNames)
	}

	if len(chain) == 1 {
		issuers, err := c.issuers(ctx, cert)
		if err != nil {
			return nil, err
		}
		chain = append(chain, issuers...)
	}
	options := x509.VerifyOptions{
		Roots: c.roots, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, between := range chain[1:] {
		options.Intermediates.AddCert(between)
	}
	if _, err := cert.Verify(options); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnsigned, err)
	}
	return cert, nil
}

// issuers gets what stands between a certificate and the authority: the file of SNS
// leaves it out, and the certificate says where it is (RFC 5280, section 4.2.2.1). It
// comes over plain http, and is worth no more than the authority's signature on it.
func (c *certificates) issuers(ctx context.Context, cert *x509.Certificate) ([]*x509.Certificate, error) {
	for _, address := range cert.IssuingCertificateURL {
		u, err := url.Parse(address)
		if err != nil || !issuerHost.MatchString(u.Host) {
			continue
		}
		der, err := c.get(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("get the issuer of a certificate of SNS: %w", err)
		}
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("read the issuer of a certificate of SNS at %s: %w", address, err)
		}
		return []*x509.Certificate{issuer}, nil
	}
	return nil, nil
}

func readPEM(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("found no certificate, expected one in PEM")
	}
	return certs, nil
}
