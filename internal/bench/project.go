package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/sources"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/letter"
	"broadside/templates/compose"
)

const campaignFile = `id: bench
topic: bench
from: Acme News <news@acme.example>
reply_to: hello@acme.example
subject: "{{.first_name}}, {{.points}} points and three things from {{.shop}}"
preheader: "What is new for {{.company}} in {{.city}}"
audience: {source: people.csv}
content: {markdown: letter.md}
`

// without returns a text that uses the first fields of the list only: in place
// of the others it has their names.
func without(text string, fields int) string {
	var pairs []string
	for _, c := range columns[1+fields:] {
		pairs = append(pairs, "{{."+c+"}}", strings.ReplaceAll(c, "_", " "))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// greeting and paragraph make the letter: the greeting uses all twelve fields,
// as a newsletter does, and the paragraphs are the same for everybody.
const (
	greeting = `# Hello {{.first_name}} {{.last_name}}

{{.company}}, {{.street}}, {{.city}}, {{.country}}: you have been with us since {{.customer_since}}
on the **{{.plan}}** plan, and {{.orders}} orders later there are {{.points}} points on your account.

[Use code {{.code}} in {{.shop}}](https://www.acme.example/offer?code={{.code}})
`
	paragraph = `
## %d. Something worth your time

People who garden know that a *good* tool outlives its price tag. This month we looked at what came back
to our workshop, what was repaired in an hour, and what we would not sell again to anybody, however often
they ask. [Read on](https://www.acme.example/news/%d): it takes about four minutes.
`
)

// letterText returns the letter to people with some fields, with n paragraphs and a
// tail of filler.
func letterText(fields, n, filler int) string {
	var b strings.Builder
	b.WriteString(without(greeting, fields))
	for i := range n {
		fmt.Fprintf(&b, paragraph, i+1, i+1)
	}
	if filler > 0 {
		b.WriteString("\n" + strings.Repeat("more ", filler/5) + "\n")
	}
	return b.String()
}

// write lays out the project: the list, the campaign, and a letter of such a
// length that the message of the first recipient has the asked size.
func (b *bench) write(ctx context.Context) error {
	if err := b.configure("127.0.0.1:25", "redis://127.0.0.1:6379/0", "bench"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "campaign.yaml"), []byte(without(campaignFile, b.Fields)), 0o600); err != nil {
		return fmt.Errorf("write the campaign: %w", err)
	}
	if err := writePeople(filepath.Join(b.dir, "people.csv"), b.Recipients, b.Fields, b.domains()); err != nil {
		return err
	}
	empty, err := b.try(ctx, 0, 0)
	if err != nil {
		return err
	}
	const probe = 20
	longer, err := b.try(ctx, probe, 0)
	if err != nil {
		return err
	}
	each := float64(longer-empty) / probe
	n := int(float64(b.Size-empty) / each)
	if n < 0 {
		return wrong("size", "found %d bytes, the shortest letter has %d", b.Size, empty)
	}
	if b.size, err = b.try(ctx, n, 0); err != nil {
		return err
	}
	if rest := b.Size - b.size; rest > 20 { // the filler is in both parts of the message
		b.size, err = b.try(ctx, n, rest/2)
	}
	return err
}

func (b *bench) domains() []string {
	if b.SMTP != "" {
		return safeDomains
	}
	return realDomains
}

// try writes the letter and returns the size of its first message.
func (b *bench) try(ctx context.Context, n, filler int) (int, error) {
	if err := os.WriteFile(filepath.Join(b.dir, "letter.md"), []byte(letterText(b.Fields, n, filler)), 0o600); err != nil {
		return 0, fmt.Errorf("write the letter: %w", err)
	}
	c, rows, err := b.composer(ctx, 1)
	if err != nil {
		return 0, err
	}
	var d compose.Draft
	if err := c.Compose(&d, recipient(0, rows[0])); err != nil {
		return 0, err
	}
	return len(d.Message), nil
}

func recipient(i int, row audience.Row) compose.Recipient {
	return compose.Recipient{Run: "bench-20260101T000000Z", Index: i, Row: row, Date: time.Now()}
}

// composer compiles the campaign and reads its first recipients.
func (b *bench) composer(ctx context.Context, n int) (*compose.Composer, []audience.Row, error) {
	cfg, def, err := b.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	r, err := audience.Open(ctx, audience.Source{Path: filepath.Join(b.dir, def.Audience.Source)}, audience.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	snapshot, err := letter.Read(ctx, cfg, def, r.Columns(), sources.Sources{})
	if err != nil {
		return nil, nil, err
	}
	keys, err := token.NewKeys([]string{cfg.Secrets[0].Reveal()})
	if err != nil {
		return nil, nil, err
	}
	rows := make([]audience.Row, min(n, b.Recipients))
	for i := range rows {
		if err := r.Next(&rows[i]); err != nil {
			return nil, nil, fmt.Errorf("read row %d of the list: %w", i+1, err)
		}
		rows[i].Values = append([]string(nil), rows[i].Values...) // the reader uses its array again
	}
	c, err := compose.New(snapshot, keys)
	return c, rows, err
}

// configure writes the configuration of all processes.
func (b *bench) configure(smtp, redis, namespace string) error {
	host, port, err := net.SplitHostPort(smtp)
	if err != nil {
		return fmt.Errorf("configure the account: %w", err)
	}
	limits, lanes := "", ""
	if b.Limits {
		limits = ", rate: 50000/s, per_hour: 50000000, per_day: 50000000, connection_rate: 1000/s"
		lanes = ", lanes: {other: {rate: 40000/s}, gmail: {rate: 40000/s, messages_per_connection: 100000}}"
	}
	text := fmt.Sprintf(`namespace: %s
redis_url: %q
public_url: http://127.0.0.1:8080
secrets: [%s]
timezone: UTC
postal_address: Acme Ltd, 1 High Street, London
accounts:
  bench: {host: %q, port: %s, tls: none, pipelining: %q, limits: {connections: %d%s}%s}
`, namespace, redis, b.secret, host, port, b.Pipelining, b.Connections, limits, lanes)
	if err := os.WriteFile(filepath.Join(b.dir, "broadside.yaml"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

func (b *bench) load(ctx context.Context) (*configs.Config, *campaign.Definition, error) {
	cfg, err := configs.Load(ctx, configs.Options{Dir: b.dir})
	if err != nil {
		return nil, nil, err
	}
	def, err := campaign.Load(ctx, filepath.Join(b.dir, "campaign.yaml"))
	return cfg, def, err
}
