package letter

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
	"broadside/campaign/feed"
	"broadside/campaign/sources"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/sender/oauth"
	"broadside/templates"
	"broadside/templates/compose"
)

// A Campaign is a campaign that is not launched yet.
type Campaign struct {
	Config  *configs.Config
	Def     *campaign.Definition
	Faults  error // of the campaign file; then Def has what could be read of it
	Sources sources.Sources
	Tokens  *oauth.Store // of accounts that log in with access tokens; nil: for this process alone
}

// audience opens the audience of the campaign.
func (c Campaign) audience(ctx context.Context) (*audience.Reader, error) {
	source := c.Def.Audience.Source
	if _, isList := audience.ListName(source); isList && c.Sources.Lists == nil {
		return nil, failure.Unreachable(fmt.Sprintf("%s is in Redis, and no redis_url is set: set it in %s, or REDIS_URL", source, c.Config.Where()))
	}
	return c.Sources.Audience(ctx, c.Def, "")
}

// letters renders messages of a campaign. Its audience is read once, by one of the
// methods that choose recipients.
type letters struct {
	snapshot campaign.Snapshot
	keys     *token.Keys
	composer *compose.Composer
	rows     *audience.Reader
	source   string
	read     int // rows, with those that cannot be mailed
}

// open reads the content and opens the audience. The error has every problem of both.
func (c Campaign) open(ctx context.Context) (*letters, error) {
	if c.Faults != nil {
		return nil, c.Faults
	}

	l := &letters{source: c.Def.Audience.Source}
	var columns []string
	rows, audienceErr := c.audience(ctx)
	if audienceErr == nil {
		l.rows = rows
		columns = rows.Columns()
	}

	var err error
	from := c.Sources
	from.Feed = feed.Read // the newest items, whether they were sent or not
	l.snapshot, err = Read(ctx, c.Config, c.Def, columns, from)
	err = errors.Join(audienceErr, err)
	if err == nil {
		err = l.compile(c)
	}
	if err != nil {
		l.close()
		return nil, err
	}

	return l, nil
}

func (l *letters) compile(c Campaign) error {
	keys, err := Keys(c.Config)
	if err != nil {
		return err
	}
	l.keys = keys
	l.composer, err = compose.New(l.snapshot, keys)
	return Locate(c.Def, err)
}

func (l *letters) close() {
	if l.rows != nil {
		l.rows.Close() //nolint:errcheck // only read
	}
}

// A recipient is the row that a message is rendered for.
type recipient struct {
	audience.Row
	number int // of the row below the header, from 1
}

// next returns the next recipient; nil after the last one. rejected, which may be nil,
// is called for each row before it that cannot be mailed.
func (l *letters) next(rejected func(number int, r *audience.Reject)) (*recipient, error) {
	for {
		var row audience.Row
		err := l.rows.Next(&row)
		l.read++
		var reject *audience.Reject
		switch {
		case err == nil:
			return &recipient{row, l.read}, nil
		case err == io.EOF:
			return nil, nil
		case !errors.As(err, &reject):
			return nil, err
		case rejected != nil:
			rejected(l.read, reject)
		}
	}
}

// rowPrefix marks a recipient that is named by the number of its row: row:3.
const rowPrefix = "row:"

// find returns the recipient that text names: an address, row:N, or the first one when
// it is empty.
func (l *letters) find(text string) (*recipient, error) {
	if text == "" {
		return l.next(nil) // an audience without any is an error of its own
	}
	if number, ok := strings.CutPrefix(text, rowPrefix); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return nil, failure.Invalid(fmt.Sprintf("found %q, expected row:N, such as row:1 for the first row below the header", text))
		}
		return l.findRow(n)
	}

	want, err := address.Parse(text)
	if err != nil {
		return nil, failure.Invalid(fmt.Sprintf("found %q (%v), expected an address of the audience, or row:N", text, err))
	}

	return l.findAddress(want)
}

func (l *letters) findAddress(want address.Address) (*recipient, error) {
	for {
		r, err := l.next(nil)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, failure.Invalid(fmt.Sprintf("%s is not in %s: name a recipient of the campaign, or row:N", want, l.source))
		}
		if r.Address.Canonical() == want.Canonical() {
			return r, nil
		}
	}
}

func (l *letters) findRow(n int) (*recipient, error) {
	var reason *audience.Reject
	for {
		r, err := l.next(func(number int, reject *audience.Reject) {
			if number == n {
				reason = reject
			}
		})
		switch {
		case err != nil:
			return nil, err
		case reason != nil:
			return nil, failure.Invalid(fmt.Sprintf("row %d of %s cannot be mailed: %v", n, l.source, reason))
		case r == nil:
			return nil, failure.Invalid(fmt.Sprintf("%s has %d rows, there is no row %d", l.source, l.read-1, n))
		case r.number == n:
			return r, nil
		}
	}
}

// extremes returns the first recipient, and the one with the most blanks among the
// fields that the campaign uses, unless that is the first one too. Together they show
// most of what can look wrong.
func (l *letters) extremes() ([]*recipient, error) {
	used, err := l.usedColumns()
	if err != nil {
		return nil, err
	}

	var first, blankest *recipient
	most := 0
	for {
		r, err := l.next(nil)
		if err != nil {
			return nil, err
		}
		if r == nil {
			break
		}
		blanks := 0
		for _, i := range used {
			if strings.TrimSpace(r.Values[i]) == "" {
				blanks++
			}
		}
		if first == nil {
			first = r
		}
		if blankest == nil || blanks > most {
			blankest = r
			most = blanks
		}
	}

	if blankest == first {
		return []*recipient{first}, nil
	}

	return []*recipient{first, blankest}, nil
}

// usedColumns returns the columns of the audience that the campaign uses.
func (l *letters) usedColumns() ([]int, error) {
	fields, err := templates.Fields(l.snapshot)
	if err != nil {
		return nil, err
	}
	var used []int
	for i, column := range l.snapshot.Columns {
		if slices.Contains(fields, column) {
			used = append(used, i)
		}
	}
	return used, nil
}

// compose renders the message of a recipient, to another address when to is not empty.
func (l *letters) compose(c *compose.Composer, run string, r *recipient, to string) (*compose.Draft, error) {
	var draft compose.Draft
	err := c.Compose(&draft, compose.Recipient{Run: run, Index: r.number, Row: r.Row, Date: time.Now(), Test: true, To: to})
	if err != nil {
		return nil, fmt.Errorf("message for row %d of %s: %w", r.number, l.source, err)
	}
	return &draft, nil
}
