package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"broadside/campaign/address"
	"broadside/configs"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
	"broadside/templates/compose"
)

// MaxTrial is how many addresses a trial goes to at most: it is no way round
// suppressions and limits.
const MaxTrial = 10

// trialMark stands in front of the subject of a trial.
const trialMark = "[Test] "

// hasty are the waits of commands that somebody watches, in place of those of
// RFC 5321 4.5.3.2, which are for daemons.
var hasty = smtppool.Timeouts{
	Connect: 10 * time.Second, Hello: 20 * time.Second, Auth: 20 * time.Second, Greeting: 30 * time.Second,
	Mail: 30 * time.Second, Rcpt: 30 * time.Second, Data: 30 * time.Second, Block: 30 * time.Second, Dot: 2 * time.Minute,
}

// A Trial says where marked copies of a campaign go.
type Trial struct {
	To []string // addresses, at most MaxTrial
	As string   // address of the audience, or row:N; empty: the first row and the one with most blanks
}

// A TrialResult is what became of one copy.
type TrialResult struct {
	To       string `json:"to"`
	As       string `json:"as"`  // whose message it is
	Row      int    `json:"row"` // below the header, from 1
	Subject  string `json:"subject"`
	Accepted bool   `json:"accepted"`
	Code     int    `json:"code"` // 0: no reply came
	Enhanced string `json:"enhanced"`
	Reply    string `json:"reply"`
}

// SendTrial sends marked copies of a campaign now, through its first account. Their
// links unsubscribe nobody, and nothing is stored. A copy that was not accepted is
// a result, not an error; an account that cannot be reached is a *smtppool.Error.
func SendTrial(ctx context.Context, proof Proof, t Trial) ([]TrialResult, error) {
	to, err := t.addresses(proof.Config)
	if err != nil {
		return nil, err
	}
	d, err := openDesk(ctx, proof)
	if err != nil {
		return nil, err
	}
	defer d.close()
	people, err := t.people(d)
	if err != nil {
		return nil, err
	}
	marked := d.snapshot
	marked.Subject = trialMark + marked.Subject
	composer, err := compose.New(marked, d.keys)
	if err != nil {
		return nil, err
	}
	// All are rendered before the first is sent. Mailboxes show one of two
	// messages with the same Message-ID: each trial is a run of its own.
	run := "test-" + rand.Text()
	var drafts []*compose.Draft
	var results []TrialResult
	for _, address := range to {
		for _, p := range people {
			draft, err := d.compose(composer, run+"-"+strconv.Itoa(len(drafts)), p, address)
			if err != nil {
				return nil, err
			}
			drafts = append(drafts, draft)
			results = append(results, TrialResult{To: address, As: p.Address.String(), Row: p.n, Subject: draft.Subject})
		}
	}
	replies, err := sendNow(ctx, proof.Config.Accounts[d.snapshot.Accounts[0]], drafts)
	for i, r := range replies {
		results[i].Accepted = reply.Classify(r).Verdict == reply.Accepted
		results[i].Code, results[i].Enhanced, results[i].Reply = r.Code, r.Enhanced, r.String()
	}
	return results[:len(replies)], err
}

// addresses checks where the copies shall go.
func (t Trial) addresses(cfg *configs.Config) ([]string, error) {
	if len(t.To) == 0 || len(t.To) > MaxTrial {
		return nil, fmt.Errorf("%w: %d addresses to send copies to, expected 1 to %d", ErrInvalid, len(t.To), MaxTrial)
	}
	var to []string
	for _, text := range t.To {
		a, err := address.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, invalid(fmt.Sprintf("%q is no address that can be mailed: %v", text, err))
		}
		if len(cfg.OnlyTo) > 0 && !configs.MatchAddress(cfg.OnlyTo, a.String()) {
			return nil, refused(fmt.Sprintf("%s fits none of only_to (%s): this installation mails nobody else", a, strings.Join(cfg.OnlyTo, ", ")))
		}
		to = append(to, a.String())
	}
	return to, nil
}

func (t Trial) people(d *desk) ([]*persona, error) {
	if t.As == "" {
		return d.extremes()
	}
	p, err := d.named(t.As)
	if err != nil {
		return nil, err
	}
	return []*persona{p}, nil
}

// sendNow sends messages one after the other and returns the replies that came
// before the error, if there is one.
func sendNow(ctx context.Context, acct configs.Account, drafts []*compose.Draft) ([]reply.Reply, error) {
	w, err := way(acct)
	if err != nil {
		return nil, invalid(err.Error())
	}
	w.SMTP.Timeouts = hasty
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
			if conn, err = smtppool.Dial(ctx, w.SMTP); err != nil {
				return replies, err
			}
		}
		refusal := conn.Envelope(ctx, d.From, d.To, len(d.Message))
		if refusal == nil {
			// Interrupted here the copy may have been sent: that is no harm.
			out := conn.Body(ctx, d.Message)
			refusal = &out.Reply
		}
		replies = append(replies, *refusal)
	}
	return replies, nil
}
