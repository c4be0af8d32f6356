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
	Offers   *AccountOffers   `json:"offers"` // nil when the login was not reached
	Limits   account.Limits   `json:"limits"`
	Problems []AccountProblem `json:"problems"`
}

// An AccountStep is one part of the dialogue.
type AccountStep struct {
	Step    string `json:"step"`    // connect, ehlo, tls, auth
	Outcome string `json:"outcome"` // ok, failed, skipped
	Detail  string `json:"detail"`
}

// AccountOffers is what the server offers.
type AccountOffers struct {
	Pipelining bool     `json:"pipelining"`
	EightBit   bool     `json:"8bitmime"`
	SMTPUTF8   bool     `json:"smtputf8"`
	Size       int64    `json:"size"` // longest message in bytes; 0: not said
	Auth       []string `json:"auth"`
}

// An AccountProblem is something to correct or to know, and what to do.
type AccountProblem struct {
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// certSoon is how long before its end a certificate is mentioned.
const certSoon = 14 * 24 * time.Hour

// CheckAccount connects to an account as a worker would: TCP, EHLO, TLS and login.
// It sends nothing. The error is of the kind failure.ErrInvalid for a name that is
// not configured, or a *smtppool.Error, which the check explains too.
func CheckAccount(ctx context.Context, cfg *configs.Config, name string) (*AccountCheck, error) {
	acct, err := account.Find(cfg, name)
	if err != nil {
		return nil, err
	}

	smtp, err := account.Impatient(acct)
	if err != nil {
		return nil, err
	}

	check := &AccountCheck{
		Account: name, Address: net.JoinHostPort(acct.Host, strconv.Itoa(acct.Port)), Limits: account.LimitsOf(acct.Limits), Problems: []AccountProblem{},
	}
	check.foresee(acct)
	if wrongTLS(acct) {
		smtp.Timeouts.Greeting = wrongTLSTime
	}

	conn, err := smtppool.Dial(ctx, smtp)
	if err != nil {
		check.failed(acct, err)
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

// describe says what was agreed, and what is worth knowing.
func (c *AccountCheck) describe(acct configs.Account, in smtppool.Info, now time.Time) {
	c.Offers = &AccountOffers{
		Pipelining: in.Pipelining, EightBit: in.EightBit, SMTPUTF8: in.SMTPUTF8, Size: in.Size, Auth: append([]string{}, in.Mechanisms...),
	}
	for _, step := range stepsOf(acct) {
		s := AccountStep{Step: step, Outcome: stepOK}
		switch step {
		case stepEHLO:
			s.Detail = in.Greeting
		case stepTLS:
			s.Detail = fmt.Sprintf("%s, %s, certificate until %s", in.TLSVersion, in.CipherSuite, in.CertExpires.UTC().Format(time.DateOnly))
		case stepAuth:
			s.Detail = in.AuthUsed
			if in.AuthUsed == "" {
				s.Outcome, s.Detail = stepSkipped, "no login is configured"
			}
		}
		c.Steps = append(c.Steps, s)
	}

	c.advise(acct, in, now)
}

// advise adds what works today and may not tomorrow.
func (c *AccountCheck) advise(acct configs.Account, in smtppool.Info, now time.Time) {
	add := func(problem, fix string) { c.Problems = append(c.Problems, AccountProblem{problem, fix}) }
	if !in.CertExpires.IsZero() && in.CertExpires.Sub(now) < certSoon {
		add("the server's certificate ends on "+in.CertExpires.UTC().Format(time.DateOnly), "renew it on the server before that, or sending stops")
	}

	if in.TLSVersion == "" && !acct.Loopback() {
		add("mail and password travel in clear (allow_plaintext)", "set tls: starttls or implicit unless the network is your own")
	}
	if in.AuthUsed == "" && len(in.Mechanisms) > 0 && acct.Auth != "none" {
		add("the server offers a login and the account has no username", "set username and password if it refuses to relay without")
	}
	if acct.Pipelining == smtppool.PipeliningEnvelope && !in.Pipelining {
		add("the server does not offer PIPELINING", "set pipelining: auto; each message takes three round trips more")
	}

	const newsletter = 256 << 10
	if in.Size > 0 && in.Size < newsletter {
		add(fmt.Sprintf("the server takes messages of at most %d bytes", in.Size), "keep letters below that, or raise the server's limit (message_size_limit in Postfix)")
	}
}

// atOnce is how many accounts are tried at the same time.
const atOnce = 4

// Accounts connects to every account, as `account check` does.
func Accounts(ctx context.Context, cfg *configs.Config) []Finding {
	names := account.Names(cfg)
	found := make([][]Finding, len(names))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, name := range names {
		g.Go(func() error {
			check, err := CheckAccount(ctx, cfg, name)
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
