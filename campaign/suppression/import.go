package suppression

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/audience"
)

// columns is the header of the CSV form, in the order of Export.
var columns = []string{"address", "sha256", "reason", "scope", "source", "run", "at", "expires"}

// An Imported says what an import did.
type Imported struct {
	Rows    int      `json:"rows"`    // without the header
	Added   int      `json:"added"`   // addresses that were not suppressed before
	Known   int      `json:"known"`   // addresses that were, or came twice
	Expired int      `json:"expired"` // rows whose time is over: nothing to add
	Rejects []Reject `json:"rejects"` // rows without an address or a hash of one
	Notes   []Reject `json:"notes"`   // rows that were added, but not in all as they say
	Ignored []string `json:"ignored"` // columns with other names
}

// A Reject is a row that could not be imported, or a part of it that could not.
type Reject struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
	Value  string `json:"value"`
}

// Import merges the rows of a file into the list: what is there stays, nothing is
// removed. A header with the columns that Export writes, in any order, gives reason,
// scope, time and the rest; without one every address in the file is suppressed for
// everything. An address is taken wherever it can be found in a row; a row with
// neither an address nor the SHA-256 of one is a Reject, and the others are added. A row
// with "*@" and a domain is an entry of the domain; so is one with a domain in a column
// of that name, and neither an address nor a hash.
//
// The rest of a row never keeps its address out: a scope that cannot be read is All,
// and a time at which it expires that cannot be read is never. The Notes have what
// was changed so.
//
// A file that is broken as a whole gives an *audience.FileError; what was read before
// it may have been added, which is harmless: it is on the list that was to be
// imported.
func (s *Store) Import(ctx context.Context, rows *audience.AddressReader) (Imported, error) {
	im := newImporter(s.now())
	im.result.Ignored = ignored(rows.Header())
	return s.merge(ctx, im, func() ([]Entry, error) {
		var row audience.AddressRow
		if err := rows.Next(&row); err != nil {
			return nil, err
		}
		return im.read(&row), nil
	})
}

// merge adds the entries of one row after another, until next returns io.EOF.
func (s *Store) merge(ctx context.Context, im *importer, next func() ([]Entry, error)) (Imported, error) {
	var w importWrite
	entries := make([]Entry, 0, batch)
	for done := false; !done; {
		more, err := next()
		if err != nil && !errors.Is(err, io.EOF) {
			if failed := w.wait(&im.result); failed != nil {
				err = errors.Join(err, failed)
			}
			return im.result, err
		}

		done = err != nil
		entries = append(entries, more...)
		if len(entries) == 0 || !done && len(entries) < batch {
			continue
		}
		if err := w.wait(&im.result); err != nil {
			return im.result, err
		}
		w.start(ctx, s, im.now, entries)
		entries = make([]Entry, 0, batch)
	}

	err := w.wait(&im.result)
	return im.result, err
}

// An importWrite is the writing of one batch while the next one is read.
type importWrite struct {
	done    chan struct{} // closed at its end; nil: nothing is being written
	entries int
	added   int
	err     error
}

// start begins to write; wait must be called before the next start, and at the end.
func (w *importWrite) start(ctx context.Context, s *Store, now time.Time, entries []Entry) {
	w.done = make(chan struct{})
	w.entries = len(entries)
	go func() {
		defer close(w.done)
		w.added, w.err = s.addBatch(ctx, asNew, now, entries)
	}()
}

// wait waits for the end of what was started, and counts it.
func (w *importWrite) wait(result *Imported) error {
	if w.done == nil {
		return nil
	}
	<-w.done
	w.done = nil
	result.Added += w.added
	if w.err != nil {
		return fmt.Errorf("import suppressions: %w", w.err)
	}
	result.Known += w.entries - w.added
	return nil
}

// ignored returns the columns that have no meaning here. Those of addresses have
// many names; the reader of the file knows them.
func ignored(header []string) []string {
	names := []string{}
	for _, name := range header {
		if name != "" && !audience.IsAddressHeader(name) && !slices.Contains(columns, strings.ToLower(name)) && !strings.EqualFold(name, "domain") {
			names = append(names, name)
		}
	}
	return names
}

// An importer turns rows into entries.
type importer struct {
	now    time.Time
	result Imported
}

func newImporter(now time.Time) *importer {
	return &importer{now: now, result: Imported{Rejects: []Reject{}, Notes: []Reject{}, Ignored: []string{}}}
}

// read returns the entries of a row, and counts it.
func (im *importer) read(row *audience.AddressRow) []Entry {
	im.result.Rows++
	base, ok := im.base(row)
	if !ok {
		im.result.Expired++
		return nil
	}

	var entries []Entry
	for _, domain := range rowDomains(row) {
		e := base
		e.Domain = domain
		e.Hash = address.Hash(e.Shown())
		entries = append(entries, e)
	}
	if len(entries) > 0 {
		return entries
	}

	addresses, hashes := im.people(row)
	for _, a := range addresses {
		e := base
		e.Address = a.Canonical()
		e.Hash = address.Hash(e.Address)
		entries = append(entries, e)
	}

	for _, hash := range hashes {
		e := base
		e.Hash = hash
		entries = append(entries, e)
	}

	if len(entries) == 0 {
		im.result.Rejects = append(im.result.Rejects, Reject{row.Line, "no address in the row, and no SHA-256 of one", row.Excerpt()})
	}

	return entries
}

// base returns what all entries of a row have; false when they have expired.
func (im *importer) base(row *audience.AddressRow) (e Entry, holds bool) {
	e = Entry{
		Reason: oneLine(row.Cell("reason")), Scope: row.Cell("scope"), Source: oneLine(row.Cell("source")), Run: oneLine(row.Cell("run")),
	}
	if e.Reason == "" {
		e.Reason = ReasonImported
	}

	if e.Source == "" {
		e.Source = "import"
	}
	if e.Scope == "" {
		e.Scope = All
	}

	if err := checkScope(e.Scope); err != nil {
		im.note(row, "%v: suppressed for everything", err)
		e.Scope = All
	}

	var err error
	if e.At, err = parseTime(row.Cell("at")); err != nil {
		im.note(row, "at: %v: taken as now", err)
	}
	if e.At.IsZero() {
		e.At = im.now
	}
	if e.Expires, err = parseTime(row.Cell("expires")); err != nil {
		im.note(row, "expires: %v: suppressed for ever", err)
	}

	return e, e.Expires.IsZero() || e.Expires.After(im.now)
}

func (im *importer) note(row *audience.AddressRow, format string, args ...any) {
	im.result.Notes = append(im.result.Notes, Reject{row.Line, fmt.Sprintf(format, args...), row.Excerpt()})
}

// people returns the people that a row means: by address, and by hash where there is
// no address, or where the hash is that of another one.
func (im *importer) people(row *audience.AddressRow) (addresses []address.Address, hashes [][32]byte) {
	text := row.Cell("sha256")
	hash, isHash := parseHash(text)
	theirs := func(a address.Address) bool { return hashOf(row, a, hash) }
	switch found := row.Addresses(); {
	case isHash && slices.ContainsFunc(found, theirs):
		return found, nil
	case isHash && len(row.Named) == 0:
		return nil, [][32]byte{hash} // other addresses in the row say who wrote it, or why
	case isHash:
		im.note(row, "sha256 is that of another address: both are suppressed")
		return row.Named, [][32]byte{hash}
	case text != "" && len(found) > 0:
		im.note(row, "sha256 is not %d hexadecimal digits: the address alone is suppressed", 2*len(hash))
	}

	addresses = row.Addresses()
	if len(addresses) > 0 && row.Fits() {
		return addresses, nil
	}

	for _, found := range hexHash.FindAllString(row.Text, -1) {
		hash, _ := parseHash(found)
		hashes = append(hashes, hash)
	}

	return addresses, hashes
}

// rowDomains returns the domains that a row means: those that stand behind "*@", or the
// one in a column of domains. A row that names an address or the hash of one does not mean
// the domain next to it, which would keep out everyone at a large provider.
func rowDomains(row *audience.AddressRow) []string {
	if len(row.Named) > 0 {
		return nil
	}

	if !strings.Contains(row.Text, everyone) && row.Cell("domain") == "" {
		return nil
	}

	var domains []string
	for _, found := range everyoneOf.FindAllStringSubmatch(row.Text, -1) {
		if domain, err := ParseDomain(found[1]); err == nil && !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	if len(domains) > 0 || row.Cell("domain") == "" || row.Cell("sha256") != "" || len(row.Addresses()) > 0 {
		return domains
	}

	domain, err := ParseDomain(row.Cell("domain"))
	if err != nil {
		return nil
	}
	return []string{domain}
}

// everyoneOf is "*@" and a domain, set off from what is around it.
var everyoneOf = regexp.MustCompile(`(?:^|[\s,;:"'<(\[])\*@([^\s,;:"'<>()\[\]]+)`)

// hexHash is the SHA-256 of something.
var hexHash = regexp.MustCompile(`\b[0-9A-Fa-f]{64}\b`)

func parseHash(text string) (hash [32]byte, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(hash) {
		return hash, false
	}
	return [32]byte(raw), true
}

// hashOf reports whether a hash is that of an address, in any of the ways in which
// people write it before they hash it.
func hashOf(row *audience.AddressRow, a address.Address, hash [32]byte) bool {
	written := row.Cell("address")
	for _, spelling := range append(a.OtherSpellings(), a.Canonical(), written, strings.ToLower(written), strings.ToUpper(written)) {
		if address.Hash(spelling) == hash {
			return true
		}
	}
	return false
}

// parseTime reads RFC 3339, or a date for its beginning in UTC; empty is no
// time. Only years that Unix milliseconds can hold without surprise pass.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}

	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse(time.DateOnly, text)
	}
	if err != nil || t.Year() < 1971 {
		return time.Time{}, fmt.Errorf("%q is not a time like 2026-10-01T09:00:00Z", text)
	}

	return t, nil
}
