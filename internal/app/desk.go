package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/scheduler"
	"broadside/templates/compose"
)

// rowPrefix marks the number of a row where a recipient is named: row:3.
const rowPrefix = "row:"

// A Proof is a campaign that is looked at before it is launched.
type Proof struct {
	Config *configs.Config
	App    *App // nil where nothing of it is in Redis
	Def    *campaign.Definition
	Faults error               // of the campaign file, when Def is only what could be read of it
	Stored *scheduler.Schedule // has the files that it names; nil: they are on disk
	Stdin  io.Reader           // read when the audience is "-"

	AllRejects bool // Validate returns every refused row, not only the first ones
}

// audience opens the rows of the proof.
func (p Proof) audience(ctx context.Context) (*audience.Reader, error) {
	source, a := p.Def.Audience.Source, p.App
	if _, isList := audience.ListName(source); isList && a == nil {
		return nil, unreachable(fmt.Sprintf("%s is in Redis, and no redis_url is set: set it in %s, or REDIS_URL", source, p.Config.Where()))
	}
	if a == nil {
		a = &App{Config: p.Config}
	}
	return a.openAudience(ctx, p.Def, source, Launch{Stdin: p.Stdin, Stored: p.Stored})
}

// snapshot reads what the messages are made from.
func (p Proof) snapshot(ctx context.Context, columns []string) (campaign.Snapshot, error) {
	return snapshot(p.Config, p.Def, columns, p.App.opener(ctx, p.Stored))
}

// A desk renders messages of a campaign that is not launched. Its audience is
// read once, by one of the methods that choose rows.
type desk struct {
	snapshot campaign.Snapshot
	keys     *token.Keys
	rows     *audience.Reader
	source   string
	n        int // rows read, refused ones included
}

// openDesk checks a campaign's content against the columns of its audience; the
// error has every problem of both.
func openDesk(ctx context.Context, proof Proof) (*desk, error) {
	if proof.Faults != nil {
		return nil, proof.Faults
	}
	d := &desk{source: proof.Def.Audience.Source}
	var columns []string
	var openErr error
	if d.rows, openErr = proof.audience(ctx); openErr == nil {
		columns = d.rows.Columns()
	}
	var err error
	d.snapshot, err = proof.snapshot(ctx, columns)
	if err = errors.Join(openErr, err); err == nil {
		d.keys, err = keysOf(proof.Config)
	}
	if err == nil {
		_, err = compose.New(d.snapshot, d.keys)
		err = placed(proof.Def, err)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *desk) close() {
	if d.rows != nil {
		d.rows.Close() //nolint:errcheck // only read
	}
}

// keysOf derives the keys that sign links.
func keysOf(cfg *configs.Config) (*token.Keys, error) {
	if err := cfg.RequireSecrets(); err != nil {
		return nil, err
	}
	secrets := make([]string, len(cfg.Secrets))
	for i, s := range cfg.Secrets {
		secrets[i] = s.Reveal()
	}
	keys, err := token.NewKeys(secrets)
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	return keys, nil
}

// A persona is the row that a message is rendered for.
type persona struct {
	audience.Row
	n int // its number below the header, from 1
}

// next returns the next row that can be mailed; a nil persona after the last.
// A row that is refused is counted and told to refused, which may be nil.
func (d *desk) next(refused func(n int, r *audience.Reject)) (*persona, error) {
	for {
		var row audience.Row
		err := d.rows.Next(&row)
		d.n++
		var reject *audience.Reject
		switch {
		case err == nil:
			return &persona{row, d.n}, nil
		case err == io.EOF:
			return nil, nil
		case !errors.As(err, &reject):
			return nil, err
		case refused != nil:
			refused(d.n, reject)
		}
	}
}

// named returns the recipient that the text names: an address, row:N, or the
// first one when it is empty.
func (d *desk) named(text string) (*persona, error) {
	if text == "" {
		return d.next(nil) // an audience without any is an error of its own
	}
	if number, ok := strings.CutPrefix(text, rowPrefix); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return nil, invalid(fmt.Sprintf("found %q, expected row:N, such as row:1 for the first row below the header", text))
		}
		return d.numbered(n)
	}
	want, err := address.Parse(text)
	if err != nil {
		return nil, invalid(fmt.Sprintf("found %q (%v), expected an address of the audience, or row:N", text, err))
	}
	for {
		p, err := d.next(nil)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, invalid(fmt.Sprintf("%s is not in %s: name a recipient of the campaign, or row:N", want, d.source))
		}
		if p.Address.Canonical() == want.Canonical() {
			return p, nil
		}
	}
}

func (d *desk) numbered(n int) (*persona, error) {
	var why *audience.Reject
	for {
		p, err := d.next(func(at int, r *audience.Reject) {
			if at == n {
				why = r
			}
		})
		switch {
		case err != nil:
			return nil, err
		case why != nil:
			return nil, invalid(fmt.Sprintf("row %d of %s is none that can be mailed: %v", n, d.source, why))
		case p == nil:
			return nil, invalid(fmt.Sprintf("%s has %d rows, there is no row %d", d.source, d.n-1, n))
		case p.n == n:
			return p, nil
		}
	}
}

// extremes returns the first recipient, and the one with the most blanks among
// the fields that the campaign uses, unless that is the first one too. Between
// them they show most of what can look wrong.
func (d *desk) extremes() ([]*persona, error) {
	used, err := fieldsOf(d.snapshot)
	if err != nil {
		return nil, err
	}
	var at []int
	for i, c := range d.snapshot.Columns {
		if slices.Contains(used, c) {
			at = append(at, i)
		}
	}
	var first, blankest *persona
	most := 0
	for {
		p, err := d.next(nil)
		if err != nil {
			return nil, err
		}
		if p == nil {
			break
		}
		blanks := 0
		for _, i := range at {
			if strings.TrimSpace(p.Values[i]) == "" {
				blanks++
			}
		}
		if first == nil {
			first, blankest, most = p, p, blanks
		} else if blanks > most {
			blankest, most = p, blanks
		}
	}
	if blankest == first {
		return []*persona{first}, nil
	}
	return []*persona{first, blankest}, nil
}

// compose renders the message of p, to another address when to is not empty. The
// links in it unsubscribe nobody.
func (d *desk) compose(c *compose.Composer, run string, p *persona, to string) (*compose.Draft, error) {
	var draft compose.Draft
	err := c.Compose(&draft, compose.Recipient{Run: run, Index: p.n, Row: p.Row, Date: time.Now(), Test: true, To: to})
	if err != nil {
		return nil, fmt.Errorf("message for row %d of %s: %w", p.n, d.source, err)
	}
	return &draft, nil
}
