package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/configs"
	"broadside/configs/units"
	"broadside/internal/app"
	"broadside/internal/failure"
)

func suppressionCommand(c *cli) *cobra.Command {
	return noun("suppression", "Addresses that must not be mailed",
		suppressCommand(c), unsuppressCommand(c), checkSuppressionCommand(c),
		importSuppressionCommand(c), exportSuppressionCommand(c), suppressionStatsCommand(c))
}

func suppressCommand(c *cli) *cobra.Command {
	var topic, expires string
	var domains []string
	var e suppression.Entry
	cmd := &cobra.Command{
		Use:   "add [ADDRESS...]",
		Short: "Keep addresses, or whole domains, from being mailed",
		Long: `Keep addresses from being mailed, from now on and in runs that are under way. An
address that is on the list already keeps its reason and time.

--domain does so for every address of a domain, but not for those of its subdomains.
Such an entry is shown as *@DOMAIN.`,
		Example: `  broadside suppression add ada@example.org
  broadside suppression add ada@example.org --reason complaint --topic newsletter
  broadside suppression add ada@example.org --expires 90d
  broadside suppression add --domain example.net --domain example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			subjects, err := suppressionSubjects(cmd, args, domains)
			if err != nil {
				return err
			}
			if e.Expires, err = expiry(cmd, expires, time.Now()); err != nil {
				return err
			}
			return c.suppress(cmd.Context(), e, topic, subjects)
		},
	}
	domainFlag(cmd, &domains)
	cmd.Flags().StringVar(&e.Reason, "reason", suppression.ReasonManual, "`WORD` that says why: bounce, complaint, unsubscribe, manual, ...")
	cmd.Flags().StringVar(&topic, "topic", "", "only for messages of this `TOPIC` (default: for all)")
	cmd.Flags().StringVar(&expires, "expires", "", "until then: a `TIME` such as 2030-01-31, or a duration such as 90d (default: for ever)")

	return cmd
}

func domainFlag(cmd *cobra.Command, domains *[]string) {
	cmd.Flags().StringArrayVar(domains, "domain", nil, "every address of this `DOMAIN`; may be given several times")
}

// suppressionSubjects returns entries that have only who they are about: addresses and
// domains that a person named. "*@DOMAIN" is a domain too.
func suppressionSubjects(cmd *cobra.Command, texts, domains []string) ([]suppression.Entry, error) {
	if len(texts) == 0 && len(domains) == 0 {
		return nil, usagef(cmd, "found neither an address nor --domain, expected at least one of them")
	}

	var addresses []string
	for _, text := range texts {
		if name, isDomain := strings.CutPrefix(text, "*@"); isDomain {
			domains = append(domains, name)
			continue
		}
		addresses = append(addresses, text)
	}

	parsed, err := address.ParseAll(addresses)
	var entries []suppression.Entry
	for _, a := range parsed {
		entries = append(entries, suppression.Entry{Address: a.Canonical()})
	}
	for _, name := range domains {
		domain, wrong := suppression.ParseDomain(name)
		if wrong != nil {
			err = errors.Join(err, failure.Invalid(fmt.Sprintf("%q is not a domain: %v", name, wrong)))
			continue
		}
		entries = append(entries, suppression.Entry{Domain: domain})
	}

	return entries, err
}

// shownSubjects returns how the list shows who entries are about.
func shownSubjects(entries []suppression.Entry) []string {
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = e.Shown()
	}
	return texts
}

// expiry reads --expires.
func expiry(cmd *cobra.Command, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}

	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			if !t.After(now) {
				return t, usagef(cmd, "--expires: %s is past", text)
			}
			return t, nil
		}
	}

	d, err := units.ParseDuration(text)
	if err != nil || d == 0 {
		return time.Time{}, usagef(cmd, "--expires: found %q, expected a time such as 2030-01-31T09:00:00Z, a day, or a duration such as 90d", text)
	}

	return now.Add(d), nil
}

// checkTopic checks the name of a topic: any is good when none is declared in the
// configuration.
func checkTopic(cfg *configs.Config, name string) error {
	if _, ok := cfg.Topics[name]; ok || len(cfg.Topics) == 0 {
		return nil
	}
	return failure.Invalid(fmt.Sprintf("no topic %q in %s", name, cfg.Where()))
}

func (c *cli) suppress(ctx context.Context, e suppression.Entry, topic string, subjects []suppression.Entry) error {
	return c.kept(ctx, false, func(ctx context.Context, a *app.App) error {
		e.Scope = suppression.All
		e.Source = "operator"
		if topic != "" {
			if err := checkTopic(a.Config, topic); err != nil {
				return err
			}
			e.Scope = suppression.Topic(topic)
		}

		entries := make([]suppression.Entry, len(subjects))
		for i, subject := range subjects {
			entries[i] = e
			entries[i].Address = subject.Address
			entries[i].Domain = subject.Domain
		}

		added, err := a.Suppression.Add(ctx, entries...)
		if err != nil {
			return err
		}

		if c.asJSON {
			return c.json(struct {
				Added int `json:"added"`
				Known int `json:"known"`
			}{added, len(entries) - added})
		}

		_, err = fmt.Fprintf(c.stdout, "added %d, known before %d\n", added, len(entries)-added)
		return err
	})
}

func unsuppressCommand(c *cli) *cobra.Command {
	var domains []string
	cmd := &cobra.Command{
		Use:     "rm [ADDRESS...]",
		Aliases: []string{"remove"},
		Short:   "Take addresses or domains off the list, for every topic",
		Long: `Take addresses off the list, in every scope. Do it only when the person asked for
it: mail to people who unsubscribed or complained ruins a sender's name.

An address whose domain is on the list stays suppressed until --domain takes that off;
addresses of the domain that are on the list themselves stay there.`,
		Example: `  broadside suppression rm ada@example.org
  broadside suppression rm --domain example.net`,
		RunE: func(cmd *cobra.Command, args []string) error {
			subjects, err := suppressionSubjects(cmd, args, domains)
			if err != nil {
				return err
			}

			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				n, err := a.Suppression.Rm(ctx, shownSubjects(subjects)...)
				if err != nil {
					return err
				}

				if c.asJSON {
					return c.json(struct {
						Removed int `json:"removed"`
					}{n})
				}

				_, err = fmt.Fprintf(c.stdout, "removed %d\n", n)
				return err
			})
		},
	}
	domainFlag(cmd, &domains)

	return cmd
}

func checkSuppressionCommand(c *cli) *cobra.Command {
	var domains []string
	cmd := &cobra.Command{
		Use:   "check [ADDRESS...]",
		Short: "Is an address or its domain on the list, and why",
		Example: `  broadside suppression check ada@example.org --json
  broadside suppression check --domain example.net`,
		RunE: func(cmd *cobra.Command, args []string) error {
			subjects, err := suppressionSubjects(cmd, args, domains)
			if err != nil {
				return err
			}

			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				results, err := a.Suppression.Check(ctx, shownSubjects(subjects)...)
				if err != nil {
					return err
				}
				return c.printChecks(results)
			})
		},
	}
	domainFlag(cmd, &domains)

	return cmd
}

func (c *cli) printChecks(results []suppression.Result) error {
	if c.asJSON {
		return c.json(results)
	}

	var rows [][]string
	for _, r := range results {
		row := []string{r.Address, "no", "", "", "", "", "", ""}
		if e := r.Entry; r.Suppressed {
			row = []string{r.Address, "yes", e.Reason, e.Scope, e.Source, e.Run, e.At.UTC().Format(time.RFC3339), e.Shown()}
		}
		rows = append(rows, row)
	}

	return c.table([]string{"ADDRESS", "SUPPRESSED", "REASON", "SCOPE", "SOURCE", "RUN", "AT", "ENTRY"}, rows)
}

func importSuppressionCommand(c *cli) *cobra.Command {
	var opts audience.Options
	var service string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the addresses, or their SHA-256, of a file",
		Long: `Add the addresses of a file, wherever they stand in a row: CSV with or without a
header, one a line, JSON lines, or a workbook (.xlsx). A column sha256 (hex, of the lower-cased address)
will do instead; with a header reason, scope, source, run, at and expires are read as
export writes them. *@example.com is all of a domain, as is a domain alone in a column
of that name. Nobody is removed. FILE - is the standard input.

--format reads what a service has exported: ses and postmark the JSON of their API,
mailgun and sendgrid also CSV. Reasons become bounce, complaint, unsubscribe and manual.
Blocks of SendGrid are refused: they are about a message, not about the address.

A row with neither an address nor a SHA-256 is shown; the others are added, and the
exit code is 1.`,
		Example: `  broadside suppression import unsubscribed.csv
  broadside suppression import --format sendgrid bounces.csv
  broadside suppression import - < bounces.csv`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, name, err := c.input(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer in.Close() //nolint:errcheck // only read
			opts.File = name
			if err := checkFormat(cmd, service, name); err != nil {
				return err
			}

			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				sum, err := importSuppressions(ctx, a.Suppression, service, in, opts)
				if err != nil {
					return err
				}

				return c.importedSuppressions(name, sum)
			})
		},
	}
	cmd.Flags().StringVar(&service, "format", anyFormat, "`NAME` of the form: "+strings.Join(importFormats(), ", "))
	cmd.Flags().StringVar(&opts.Email, "email", "", "`HEADER` of the column of addresses (default: the one that looks like it, else any)")
	cmd.Flags().StringVar(&opts.Sheet, "sheet", "", "`NAME` of the worksheet of an .xlsx file (default: the only one with rows)")
	cmd.Flags().StringVar(&opts.Encoding, "encoding", "", "`NAME` of the file's encoding, such as windows-1252, when it is not UTF-8")

	return cmd
}

// anyFormat is the form in which an address is taken wherever it stands.
const anyFormat = "csv"

func importFormats() []string { return append([]string{anyFormat}, suppression.Formats()...) }

// checkFormat checks --format, and refuses what is known to be a file of blocks.
func checkFormat(cmd *cobra.Command, service, file string) error {
	if !slices.Contains(importFormats(), service) {
		return usagef(cmd, "--format: found %q, expected one of %s", service, strings.Join(importFormats(), ", "))
	}
	if service == "sendgrid" && strings.Contains(strings.ToLower(filepath.Base(file)), "block") {
		return failure.Invalid(file + ": SendGrid's blocks are no suppressions: a server refused these messages for their content or their sender, and the addresses may be good; " +
			"import the files of bounces, spam reports and unsubscribes (a file that is one of these needs another name)")
	}
	return nil
}

func importSuppressions(ctx context.Context, store *suppression.Store, service string, in io.Reader, opts audience.Options) (suppression.Imported, error) {
	if service != anyFormat {
		return store.ImportFormat(ctx, service, in, opts)
	}

	rows, err := audience.OpenAddresses(ctx, audience.Source{Path: "-", Reader: in}, opts)
	if err != nil {
		return suppression.Imported{}, err
	}
	defer rows.Close() //nolint:errcheck // only read
	return store.Import(ctx, rows)
}

func (c *cli) importedSuppressions(name string, sum suppression.Imported) error {
	c.noteRows(name, sum.Rejects)
	c.noteRows(name, sum.Notes)
	for _, column := range sum.Ignored {
		c.note("%s: column %q is not one of ours and was left out", name, printable(column))
	}

	if err := c.printImported(sum); err != nil {
		return err
	}

	switch rejected := len(sum.Rejects); {
	case rejected == 0:
		return nil
	case rejected == sum.Rows:
		return fmt.Errorf("%w: none of the %d rows of %s has an address or the SHA-256 of one", failure.ErrInvalid, sum.Rows, name)
	default:
		return fmt.Errorf("%d of %d rows of %s have no address that could be found: the people they mean can still be mailed; correct them and import the file again", rejected, sum.Rows, name)
	}
}

// noteRows shows the first of the rows that were not imported as they stand.
func (c *cli) noteRows(name string, rows []suppression.Reject) {
	for i, r := range rows {
		if i == maxRejectsShown {
			c.note("... and %d more", len(rows)-i)
			return
		}
		c.note("%s:%d: %s: %s", name, r.Line, r.Reason, r.Value)
	}
}

func (c *cli) printImported(sum suppression.Imported) error {
	if c.asJSON {
		return c.json(sum)
	}
	expired := ""
	if sum.Expired > 0 {
		expired = fmt.Sprintf(", %d expired", sum.Expired)
	}
	_, err := fmt.Fprintf(c.stdout, "%d rows: %d added, %d known before, %d rejected%s\n", sum.Rows, sum.Added, sum.Known, len(sum.Rejects), expired)
	return err
}

func exportSuppressionCommand(c *cli) *cobra.Command {
	var hashed bool
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the list as CSV",
		Long: `Write the list as CSV, to the standard output without FILE. import reads it back.
--json prints an array of objects instead.

--hashed leaves the addresses out and writes their SHA-256 alone, for another system that
is to keep the same people out without learning who they are. Domains are written as
they are.`,
		Example: `  broadside suppression export suppressed.csv
  broadside suppression export | gzip > suppressed.csv.gz
  broadside suppression export --hashed for-the-agency.csv`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				return c.export(args, func(w io.Writer) error { return a.Backup.ExportSuppressions(ctx, w, hashed) })
			})
		},
	}
	cmd.Flags().BoolVar(&hashed, "hashed", false, "no addresses, only their SHA-256")

	return cmd
}

func suppressionStatsCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "stats",
		Short:   "How many addresses, by reason, scope and source",
		Example: `  broadside suppression stats`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				stats, err := a.Suppression.Stats(ctx)
				if err != nil {
					return err
				}
				if c.asJSON {
					return c.json(stats)
				}
				return c.table([]string{"WHAT", "ENTRIES"}, statsRows(stats))
			})
		},
	}
}

func statsRows(s suppression.Stats) [][]string {
	rows := [][]string{
		{"total", strconv.Itoa(s.Total)}, {"known by hash only", strconv.Itoa(s.Hashed)}, {"whole domains", strconv.Itoa(s.Domains)}, {"expired, in addition", strconv.Itoa(s.Expired)},
	}
	for _, group := range []struct {
		name   string
		counts map[string]int
	}{{"reason", s.Reasons}, {"scope", s.Scopes}, {"source", s.Sources}} {
		for _, key := range slices.Sorted(maps.Keys(group.counts)) {
			rows = append(rows, []string{group.name + " " + key, strconv.Itoa(group.counts[key])})
		}
	}

	return rows
}

// csvAsJSON prints what write writes as CSV as an array of objects.
func (c *cli) csvAsJSON(write func(io.Writer) error) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err)
		written <- err
	}()
	err := c.objects(csv.NewReader(r))
	r.CloseWithError(err)

	return errors.Join(err, <-written)
}

func (c *cli) objects(in *csv.Reader) error {
	header, err := in.Read()
	if err != nil {
		return fmt.Errorf("read CSV: %w", err)
	}

	out, err := c.rows("json")
	if err != nil {
		return err
	}

	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out.close()
		}
		if err != nil {
			return fmt.Errorf("read CSV: %w", err)
		}
		object := map[string]string{}
		for i, name := range header {
			object[name] = record[i]
		}
		if err := out.row(nil, object); err != nil {
			return err
		}
	}
}
