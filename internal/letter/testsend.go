package letter

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"broadside/campaign/address"
	"broadside/configs"
	"broadside/internal/account"
	"broadside/internal/failure"
	"broadside/sender/oauth"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
	"broadside/templates/compose"
)

// MaxTestAddresses is how many addresses a test is sent to at most: it must not become a
// way around suppressions and limits.
const MaxTestAddresses = 10

// testMark stands in front of the subject of a test copy.
const testMark = "[Test] "

// TestOptions say where test copies go, and whose messages they are.
type TestOptions struct {
	To []string // addresses, at most MaxTestAddresses
	As string   // an address of the audience, or row:N; empty: the first recipient and the one with the most blanks
}

// A TestCopy says what became of one copy.
type TestCopy struct {
	To       string `json:"to"`
	As       string `json:"as"`  // the recipient whose message it is
	Row      int    `json:"row"` // of that recipient below the header, from 1
	Subject  string `json:"subject"`
	Accepted bool   `json:"accepted"`
	Code     int    `json:"code"` // 0: no reply came
	Enhanced string `json:"enhanced"`
	Reply    string `json:"reply"`
}

// SendTest sends marked copies of a campaign at once, through its first account. A copy
// that was not accepted is a result and not an error. An account that cannot be reached
// is a *smtppool.Error.
func (c Campaign) SendTest(ctx context.Context, o TestOptions) ([]TestCopy, error) {
	to, err := o.addresses(c.Config)
	if err != nil {
		return nil, err
	}

	l, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	recipients, err := o.recipients(l)
	if err != nil {
		return nil, err
	}

	marked := l.snapshot
	marked.Subject = testMark + marked.Subject
	composer, err := compose.New(marked, l.keys)
	if err != nil {
		return nil, err
	}

	// All are rendered before the first one is sent. A mailbox shows only one of two
	// messages with the same Message-ID, so each copy has a run of its own.
	run := "test-" + rand.Text()
	var drafts []*compose.Draft
	var copies []TestCopy
	for _, address := range to {
		for _, r := range recipients {
			draft, err := l.compose(composer, run+"-"+strconv.Itoa(len(drafts)), r, address)
			if err != nil {
				return nil, err
			}
			drafts = append(drafts, draft)
			copies = append(copies, TestCopy{To: address, As: r.Address.String(), Row: r.number, Subject: draft.Subject})
		}
	}

	replies, err := sendNow(ctx, c.Config.Accounts[l.snapshot.Accounts[0]], c.Tokens, drafts)
	for i, r := range replies {
		copies[i].Accepted = reply.Classify(r).Verdict == reply.Accepted
		copies[i].Code = r.Code
		copies[i].Enhanced = r.Enhanced
		copies[i].Reply = r.String()
	}

	return copies[:len(replies)], err
}

// addresses checks the addresses that copies are sent to.
func (o TestOptions) addresses(cfg *configs.Config) ([]string, error) {
	if len(o.To) == 0 || len(o.To) > MaxTestAddresses {
		return nil, fmt.Errorf("%w: %d addresses to send copies to, expected 1 to %d", failure.ErrInvalid, len(o.To), MaxTestAddresses)
	}

	var to []string
	for _, text := range o.To {
		a, err := address.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, failure.Invalid(fmt.Sprintf("%q is not an address that can be mailed: %v", text, err))
		}
		if len(cfg.OnlyTo) > 0 && !configs.MatchAddress(cfg.OnlyTo, a.String()) {
			return nil, failure.Refused(fmt.Sprintf("%s does not match only_to (%s), and this installation mails no other addresses", a, strings.Join(cfg.OnlyTo, ", ")))
		}
		to = append(to, a.String())
	}
	return to, nil
}

// recipients chooses the recipients whose messages are copied.
func (o TestOptions) recipients(l *letters) ([]*recipient, error) {
	if o.As == "" {
		return l.extremes()
	}
	r, err := l.find(o.As)
	if err != nil {
		return nil, err
	}
	return []*recipient{r}, nil
}

// sendNow sends messages one after the other, and returns the replies that came before
// the first error.
func sendNow(ctx context.Context, acct configs.Account, tokens *oauth.Store, drafts []*compose.Draft) ([]reply.Reply, error) {
	smtp, err := account.Impatient(acct, tokens)
	if err != nil {
		return nil, err
	}

	var conn *smtppool.Conn
	defer func() {
		if conn != nil {
			conn.Quit(ctx)
		}
	}()

	var replies []reply.Reply
	for _, d := range drafts {
		if conn == nil || !conn.Usable() {
			if conn != nil {
				conn.Abort()
			}
			if conn, err = smtppool.Dial(ctx, smtp); err != nil {
				return replies, err
			}
		}
		last := conn.Envelope(ctx, d.From, d.To, len(d.Message))
		if last == nil {
			// If this is interrupted, the copy may have been sent, which does no harm.
			out := conn.Body(ctx, d.Message)
			last = &out.Reply
		}
		replies = append(replies, *last)
	}

	return replies, nil
}
