// Package account is about the accounts of the configuration: how to reach them
// by SMTP, how they stand now, and what to say when one is missing.
package account

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/input"
	"broadside/sender/oauth"
	"broadside/sender/smtppool"
)

// SMTP returns how to reach an account. Its access tokens, if it has any, are kept in
// tokens; nil: in this process alone. The error is of the kind failure.ErrInvalid.
func SMTP(acct configs.Account, tokens *oauth.Store) (smtppool.Config, error) {
	roots, err := certificates(acct.CAFile)
	if err != nil {
		return smtppool.Config{}, failure.Invalid(fmt.Sprintf("account %s: %v", acct.Name, err))
	}

	access, err := accessTokens(acct, tokens)
	if err != nil {
		return smtppool.Config{}, failure.Invalid(fmt.Sprintf("account %s: %v", acct.Name, err))
	}

	return smtppool.Config{
		Account: acct.Name, Host: acct.Host, Port: acct.Port, TLS: acct.TLS, AllowPlaintext: acct.AllowPlaintext,
		RootCAs: roots, Auth: acct.Auth, Username: acct.Username, Password: acct.Password.Reveal(), Tokens: access, Helo: acct.Helo,
		Pipelining: acct.Pipelining, MaxConns: acct.Limits.Connections, MaxMessages: acct.Limits.MessagesPerConnection,
	}, nil
}

// Impatient returns SMTP with shorter waits than those of RFC 5321 4.5.3.2, which
// are for daemons: a person is waiting.
func Impatient(acct configs.Account, tokens *oauth.Store) (smtppool.Config, error) {
	cfg, err := SMTP(acct, tokens)
	cfg.Timeouts = smtppool.Timeouts{
		Connect: 10 * time.Second, Hello: 20 * time.Second, Auth: 20 * time.Second, Greeting: 30 * time.Second,
		Mail: 30 * time.Second, Rcpt: 30 * time.Second, Data: 30 * time.Second, Block: 30 * time.Second, Dot: 2 * time.Minute,
	}
	return cfg, err
}

// accessTokens returns where the access tokens of an account come from; nil for an
// account that logs in with a password.
func accessTokens(acct configs.Account, tokens *oauth.Store) (smtppool.Tokens, error) {
	if acct.OAuth2 == nil {
		return nil, nil
	}
	if tokens == nil {
		tokens = oauth.Alone(slog.New(slog.DiscardHandler)) // what fails is in the error
	}
	access, err := tokens.Account(acct.Name, oauth.SourceOf(*acct.OAuth2))
	if err != nil {
		return nil, err // and no Tokens: a nil *oauth.Tokens would be one
	}
	return access, nil
}

// certificates reads a file of authorities; nil for those of the machine.
func certificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}

	pem, err := input.ReadFile(file, strictyaml.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}

	if len(pem) > strictyaml.MaxFile {
		return nil, fmt.Errorf("ca_file %s has more than %d bytes: name a file with the certificates that are needed", file, strictyaml.MaxFile)
	}

	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s has no certificate in PEM form", file)
	}

	return pool, nil
}

// Names returns the names of all accounts, in order.
func Names(cfg *configs.Config) []string { return slices.Sorted(maps.Keys(cfg.Accounts)) }

// Missing is what is said where no account is configured.
const Missing = "no account is configured"

// HowToAdd says how to configure an account.
func HowToAdd(cfg *configs.Config) string {
	return "add one under accounts in " + cfg.Where() + ", or set SMTP_URL=smtp://user:password@host:587"
}

// NoneConfigured returns the error of a configuration without accounts.
func NoneConfigured(cfg *configs.Config) error {
	return failure.Invalid(Missing + ": " + HowToAdd(cfg))
}

// Find returns an account by its name. The error is of the kind
// failure.ErrInvalid.
func Find(cfg *configs.Config, name string) (configs.Account, error) {
	if acct, ok := cfg.Accounts[name]; ok {
		return acct, nil
	}
	if len(cfg.Accounts) == 0 {
		return configs.Account{}, NoneConfigured(cfg)
	}
	return configs.Account{}, failure.Invalid(fmt.Sprintf("no account %q; %s", name, configs.Known(name, cfg.Accounts)))
}
