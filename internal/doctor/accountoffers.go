package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/configs"
	"broadside/configs/units"
	"broadside/sender/smtppool"
)

// AccountOffers is what the server offers, and what of it is used.
type AccountOffers struct {
	Pipelining bool             `json:"pipelining"`
	EightBit   bool             `json:"8bitmime"`
	SMTPUTF8   bool             `json:"smtputf8"`
	Size       int64            `json:"size"` // longest message in bytes; 0: not said
	Auth       []string         `json:"auth"`
	Keywords   []AccountKeyword `json:"keywords"` // everything in the reply to EHLO
	Dialogue   string           `json:"dialogue"` // how a message will be pipelined
}

// An AccountKeyword is one extension that the server names in its reply to EHLO.
type AccountKeyword struct {
	Keyword string `json:"keyword"` // with its parameters
	Meaning string `json:"meaning"` // empty: it is not known here, and not used
}

// meanings says what the extensions of SMTP are about.
var meanings = map[string]string{
	"PIPELINING":          "several commands may go in one write",
	"8BITMIME":            "letters may have bytes above 127",
	"SMTPUTF8":            "addresses may have letters of any script",
	"SIZE":                "it says how long a message may be",
	"AUTH":                "ways to log in",
	"STARTTLS":            "a connection in clear can go on under TLS",
	"ENHANCEDSTATUSCODES": "replies say why, by a code such as 5.1.1",
	"DSN":                 "reports of delivery on request; not used",
	"CHUNKING":            "messages in pieces of a known length (BDAT); not used",
	"BINARYMIME":          "messages without line ends; not used",
	"VRFY":                "asking whether an address exists; not used",
	"EXPN":                "asking who is on a list; not used",
	"ETRN":                "asking for waiting mail; not used",
	"HELP":                "a text about its commands; not used",
	"REQUIRETLS":          "mail that may go on under TLS only; not used",
	"DELIVERBY":           "a deadline for delivery; not used",
	"LIMITS":              "it says how much a connection may carry",
}

// keywords says in words what the reply to EHLO offers.
func keywords(in smtppool.Info) []AccountKeyword {
	out := []AccountKeyword{}
	for _, line := range in.Keywords {
		name, params, _ := strings.Cut(line, " ")
		k := AccountKeyword{Keyword: line, Meaning: meanings[name]}
		if name == "SIZE" && in.Size > 0 {
			k.Meaning = "messages of at most " + megabytes(in.Size)
		}
		if name == "SIZE" && params == "0" {
			k.Meaning = "messages of any length"
		}
		out = append(out, k)
	}
	return out
}

// megabytes writes a size for people.
func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return strconv.FormatFloat(float64(n*10>>20)/10, 'f', -1, 64) + " MiB"
}

// dialogue says how the commands of a message travel.
func dialogue(setting string, offered bool) string {
	switch {
	case setting == smtppool.PipeliningOff:
		return "each command waits for its reply (pipelining: off)"
	case !offered:
		return "each command waits for its reply: the server does not offer PIPELINING"
	case setting == smtppool.PipeliningEnvelope:
		return "MAIL, RCPT and DATA in one write (pipelining: envelope)"
	}
	return "MAIL, RCPT and DATA in one write, behind the body before them once the server has been seen to follow"
}

// ceilings says in words which limits hold: those of the account, and of its lanes.
func ceilings(acct configs.Account) []string {
	l := acct.Limits
	all := []string{"rate " + units.FormatRate(l.Rate)}
	add := func(n int, format string) {
		if n > 0 {
			all = append(all, fmt.Sprintf(format, n))
		}
	}
	add(l.PerHour, "%d in any hour")
	add(l.PerDay, "%d in any 24 hours")
	add(l.Connections, "%d connections")
	add(l.MessagesPerConnection, "%d messages each")
	if l.ConnectionRate > 0 {
		all = append(all, units.FormatRate(l.ConnectionRate)+" connections opened")
	}
	lines := []string{strings.Join(all, ", ")}

	for _, name := range slices.Sorted(maps.Keys(acct.Lanes)) {
		lane := acct.Lanes[name]
		all = nil
		if lane.Rate > 0 {
			all = append(all, "rate "+units.FormatRate(lane.Rate))
		}
		add(lane.Connections, "%d connections")
		add(lane.MessagesPerConnection, "%d messages each")
		lines = append(lines, name+": "+strings.Join(all, ", "))
	}
	return lines
}

// certSoon is how long before its end a certificate is mentioned.
const certSoon = 14 * 24 * time.Hour

// describe says what was agreed, and what is worth knowing.
func (c *AccountCheck) describe(acct configs.Account, in smtppool.Info, now time.Time) {
	c.Offers = &AccountOffers{
		Pipelining: in.Pipelining, EightBit: in.EightBit, SMTPUTF8: in.SMTPUTF8, Size: in.Size, Auth: append([]string{}, in.Mechanisms...),
		Keywords: keywords(in), Dialogue: dialogue(acct.Pipelining, in.Pipelining),
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
