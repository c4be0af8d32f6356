package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/internal/account"
	"broadside/internal/store"
	"broadside/sender/oauth"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
)

// The steps of an account's check.
const (
	stepConnect = "connect"
	stepEHLO    = "ehlo"
	stepTLS     = "tls"
	stepAuth    = "auth"
)

// Outcomes of a step.
const (
	stepOK      = "ok"
	stepFailed  = "failed"
	stepSkipped = "skipped" // not configured, or not reached
)

// An AccountCheck is what was found when an account was tried.
type AccountCheck struct {
	Account  string           `json:"account"`
	Address  string           `json:"address"` // host:port
	OK       bool             `json:"ok"`
	Steps    []AccountStep    `json:"steps"`  // in the order of the dialogue
	Offers   *AccountOffers   `json:"offers"` // nil when the login did not succeed
	Limits   account.Limits   `json:"limits"`
	Ceilings []string         `json:"-"` // all of the limits in words, those of lanes too
	Problems []AccountProblem `json:"problems"`
	Closed   *account.Closed  `json:"closed"` // why workers send nothing through it now; nil: they do, or it is not known
	// OtherPort is one that can be reached where the account's own cannot; else nil.
	OtherPort *AccountPort `json:"other_port,omitempty"`
}

// An AccountPort is where a server takes mail.
type AccountPort struct {
	Port int    `json:"port"`
	TLS  string `json:"tls"`
}

// An AccountStep is one part of the dialogue.
type AccountStep struct {
	Step    string `json:"step"`    // connect, ehlo, tls, auth
	Outcome string `json:"outcome"` // ok, failed, skipped
	Detail  string `json:"detail"`
}

// An AccountProblem is something to correct or to know, and what to do.
type AccountProblem struct {
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// AccountOptions say how an account is tried.
type AccountOptions struct {
	Tokens *oauth.Store    // where access tokens are kept; nil: in this process alone
	Closed *account.Closed // why workers send nothing through it now; nil: they do, or it is not known
	Ports  []configs.Port  // to try when the account's own cannot be reached; nil: those of its preset and the usual ones
}

// CheckAccount connects to an account as a worker would: TCP, EHLO, TLS and login.
// It sends nothing. The error is of the kind failure.ErrInvalid for a name that is
// not configured, or a *smtppool.Error, which the check explains too.
func CheckAccount(ctx context.Context, cfg *configs.Config, name string, o AccountOptions) (*AccountCheck, error) {
	acct, err := account.Find(cfg, name)
	if err != nil {
		return nil, err
	}

	smtp, err := account.Impatient(acct, o.Tokens)
	if err != nil {
		return nil, err
	}

	check := &AccountCheck{
		Account: name, Address: net.JoinHostPort(acct.Host, strconv.Itoa(acct.Port)), Limits: account.LimitsOf(acct.Limits), Ceilings: ceilings(acct), Problems: []AccountProblem{}, Closed: o.Closed,
	}
	check.foresee(acct)
	if wrongTLS(acct) {
		smtp.Timeouts.Greeting = wrongTLSTime
	}

	conn, err := smtppool.Dial(ctx, smtp)
	if err != nil {
		check.failed(acct, err)
		check.tryPorts(ctx, acct, smtp, err, o.Ports)
		return check, err
	}
	defer conn.Quit(ctx)
	check.OK = true
	check.describe(acct, conn.Info(), time.Now())
	return check, nil
}

// wrongTLSTime is how long to wait for a greeting that is not likely to come.
const wrongTLSTime = 3 * time.Second

// wrongTLS reports whether the port is the one for TLS from the first byte
// (RFC 8314) and the account would wait there for a greeting in clear.
func wrongTLS(acct configs.Account) bool { return acct.Port == 465 && acct.TLS != configs.TLSImplicit }

// foresee adds what can be seen without a connection.
func (c *AccountCheck) foresee(acct configs.Account) {
	if wrongTLS(acct) {
		c.Problems = append(c.Problems, AccountProblem{
			"port 465 is for TLS from the first byte, and the account has tls: " + acct.TLS,
			"set tls: implicit, or port: 587",
		})
	}

	name := acct.Helo
	if name == "" && !acct.Loopback() {
		name = smtppool.HostName()
	}

	if name != "" && !fullName(name) {
		c.Problems = append(c.Problems, AccountProblem{
			fmt.Sprintf("the name in EHLO, %q, is no full domain name; many servers refuse that", name),
			"set helo to the host name of this machine with its domain, such as mail.acme.example",
		})
	}
}

// fullName reports whether a host name has a domain, or is an address in
// brackets (RFC 5321 4.1.1.1).
func fullName(name string) bool {
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		return true
	}
	host, domain, _ := strings.Cut(strings.TrimSuffix(name, "."), ".")
	return host != "" && domain != "" && net.ParseIP(name) == nil && !strings.HasSuffix(domain, "localdomain")
}

// stepsOf returns the steps of an account in the order in which they happen.
func stepsOf(acct configs.Account) []string {
	switch acct.TLS {
	case configs.TLSImplicit:
		return []string{stepConnect, stepTLS, stepEHLO, stepAuth}
	case configs.TLSNone:
		return []string{stepConnect, stepEHLO, stepAuth}
	}
	return []string{stepConnect, stepEHLO, stepTLS, stepAuth}
}

// failed says how far the dialogue went.
func (c *AccountCheck) failed(acct configs.Account, err error) {
	at := stepConnect
	detail := err.Error()
	fix := ""
	var smtp *smtppool.Error
	if errors.As(err, &smtp) {
		at = failedStep(smtp.Reply)
		detail = smtp.Reply.String()
		fix = smtp.Hint
	}

	outcome := stepOK
	for _, step := range stepsOf(acct) {
		s := AccountStep{Step: step, Outcome: outcome}
		switch {
		case step == at:
			s.Outcome, s.Detail = stepFailed, detail
			outcome = stepSkipped
		case outcome == stepSkipped:
			s.Detail = "not reached"
		}
		c.Steps = append(c.Steps, s)
	}

	c.Problems = append(c.Problems, AccountProblem{Problem: detail, Fix: fix})
}

// failedStep returns the step that a reply, or what came instead, belongs to.
func failedStep(r reply.Reply) string {
	switch r.Event {
	case reply.TLSCert, reply.TLSHandshake, reply.TLSMissing:
		return stepTLS
	}
	switch r.Stage {
	case reply.Ehlo:
		return stepEHLO
	case reply.Auth:
		return stepAuth
	}
	return stepConnect
}

// atOnce is how many accounts are tried at the same time.
const atOnce = 4

// Accounts connects to every account, as `account check` does.
func Accounts(ctx context.Context, cfg *configs.Config, tokens *oauth.Store) []Finding {
	names := account.Names(cfg)
	found := make([][]Finding, len(names))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, name := range names {
		g.Go(func() error {
			check, err := CheckAccount(ctx, cfg, name, AccountOptions{Tokens: tokens})
			found[i] = accountFindings("account "+name, check, err)
			return nil
		})
	}

	_ = g.Wait() // none fails: what went wrong is a finding
	return slices.Concat(found...)
}

func accountFindings(subject string, check *AccountCheck, err error) []Finding {
	const code, why = codes.Account, "nothing can be sent by this account"
	if check == nil {
		return []Finding{bad(subject, code, store.Failed, err.Error(), why, "correct the settings of the account")}
	}

	var out []Finding
	if check.OK {
		out = append(out, good(subject, code, check.Address+" takes the login"))
	}

	for _, p := range check.Problems {
		if check.OK {
			out = append(out, bad(subject, code, store.Warning, p.Problem, "it works now", p.Fix))
		} else {
			out = append(out, bad(subject, code, store.Failed, check.Address+": "+p.Problem, why, p.Fix))
		}
	}

	return out
}
