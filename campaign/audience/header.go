package audience

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"broadside/campaign/address"
	"broadside/configs/strictyaml"

	"golang.org/x/text/unicode/norm"
)

// emailField is the merge field that always holds the address.
const emailField = "email"

// isAddress means the address itself in plan.from.
const isAddress = -1

// A plan maps the values of a row in the file to a Row.
type plan struct {
	width  int      // columns of the file
	email  int      // the one with the address
	fields []string // the Reader's Columns
	from   []int    // for each field its column, or isAddress
}

// planColumns decides which column becomes which field.
func planColumns(l *lines, headers []string, opts Options) (*plan, error) {
	h, err := newHeader(l, headers)
	if err != nil {
		return nil, err
	}

	if err := h.mapColumns(opts.Columns); err != nil {
		return nil, err
	}

	email, err := h.emailColumn(opts)
	if err != nil {
		return nil, err
	}

	h.nameRest(email)
	return h.plan(email)
}

// header is the state of planColumns.
type header struct {
	l      *lines
	names  []string   // as the file has them, trimmed
	fields [][]string // the merge fields of each
}

// newHeader reads the names of the columns.
func newHeader(l *lines, headers []string) (*header, error) {
	h := &header{l: l, names: make([]string, len(headers)), fields: make([][]string, len(headers))}
	for i, name := range headers {
		if len(name) > maxHeader {
			return nil, h.errorf("give it a short name", "the name of column %d has %d bytes, at most %d are read: %q", i+1, len(name), maxHeader, shown(name))
		}
		h.names[i] = norm.NFC.String(strings.TrimSpace(name))
	}

	if len(headers) > maxColumns {
		return nil, h.errorf("keep those that are needed", "%d columns, at most %d are read", len(headers), maxColumns)
	}

	return h, nil
}

// positions returns the column of each name in lower case. If a name occurs twice, it is
// the first one.
func (h *header) positions() map[string]int {
	at := map[string]int{}
	for i, name := range h.names {
		name = strings.ToLower(name)
		if _, twice := at[name]; !twice {
			at[name] = i
		}
	}
	return at
}

// doNotMailColumns returns the columns of addresses in a file that says who must not be
// mailed: the named one, or the only one whose header says so, together with those of
// further addresses of the same people. It returns none when they are not known.
func (h *header) doNotMailColumns(name string) ([]int, error) {
	if name != "" {
		i, err := h.find(name)
		return []int{i}, err
	}
	return addressColumns(h.names), nil
}

// addressColumns returns the only column whose name says that it holds addresses, and
// those whose names say that they hold further ones.
func addressColumns(names []string) []int {
	var columns []int
	first := 0
	for i, n := range names {
		if IsAddressHeader(n) {
			first++
		}
		if IsAddressHeader(n) || furtherAddress(n) {
			columns = append(columns, i)
		}
	}

	if first != 1 {
		return nil
	}

	return columns
}

// furtherAddress reports whether a column of that name holds another address of the
// person in the row: "email2", "Work e-mail". One that says whose it is ("added by
// email") does not.
func furtherAddress(name string) bool {
	name = strings.NewReplacer("e-mail", "email", "e_mail", "email", "e mail", "email").Replace(strings.ToLower(name))
	further := false
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch word {
		case "email", "mail", "emails", "emailaddress", "emailadresse":
			further = true
		case "by", "of", "from", "von", "par", "por", "owner", "sender", "manager", "agent", "contact", "sales", "staff", "user":
			return false
		}
	}

	return further
}

// IsAddressHeader reports whether a column of that name holds the addresses of a file
// that says who must not be mailed: as in an audience, or in an export of suppressions.
func IsAddressHeader(s string) bool { return addressHeader(s) || strings.EqualFold(s, "address") }

func (h *header) errorf(fix, format string, args ...any) *FileError {
	return h.l.at(h.l.n, fmt.Sprintf(format, args...), fix)
}

// find returns the column of a header: the one that is spelt exactly like name, or
// else the one that differs only in case.
func (h *header) find(name string) (int, error) {
	name = norm.NFC.String(strings.TrimSpace(name))
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		found := -1
		for i, n := range h.names {
			if !same(n, name) {
				continue
			}
			if found >= 0 {
				return 0, h.errorf("give each column a name of its own", "the column %q is there twice", name)
			}
			found = i
		}

		if found >= 0 {
			return found, nil
		}
	}

	e := h.errorf("", "no column %q; there are %s", name, quoteAll(h.names))
	if s := strictyaml.Suggest(name, h.names); s != "" {
		e.Fix = fmt.Sprintf("did you mean %q?", s)
	}

	return 0, e
}

// mapColumns assigns the fields of the option columns to their headers.
func (h *header) mapColumns(columns map[string]string) error {
	for _, field := range slices.Sorted(maps.Keys(columns)) {
		if !identifier(field) {
			return h.errorf("use letters, digits and _, not beginning with a digit", "columns: %q cannot be a merge field", field)
		}
		i, err := h.find(columns[field])
		if err != nil {
			return err
		}
		h.fields[i] = append(h.fields[i], field)
	}

	return nil
}

// emailColumn finds the column of the address: named, mapped, or the only one
// whose header looks like it.
func (h *header) emailColumn(opts Options) (int, error) {
	if opts.Email != "" {
		return h.find(opts.Email)
	}
	if name, ok := opts.Columns[emailField]; ok {
		return h.find(name)
	}

	var fit []string
	at := 0
	for i, n := range h.names {
		if addressHeader(n) {
			fit = append(fit, n)
			at = i
		}
	}

	switch {
	case len(fit) == 1:
		return at, nil
	case len(fit) > 1:
		return 0, h.errorf("say which with email: HEADER", "%d columns could hold the address: %s", len(fit), quoteAll(fit))
	}

	for _, n := range h.names {
		if _, err := address.Parse(n); err == nil {
			return 0, h.errorf("put a line with the names of the columns first (email,first_name)", "the first line has an address where the names of the columns should be")
		}
	}

	return 0, h.errorf("name it with email: HEADER", "no column looks like the address; there are %s", quoteAll(h.names))
}

// addressHeader reports whether a header says that it holds addresses.
func addressHeader(s string) bool {
	s = strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(s))
	switch s {
	case "email", "mail", "emailaddress", "emailadresse":
		return true
	}
	return false
}

// nameRest gives a field to each column that no option has named: the address is
// email, the others have their header in snake case. A column without a header is
// left out.
func (h *header) nameRest(email int) {
	for i, n := range h.names {
		switch {
		case i == email:
			if !slices.Contains(h.fields[i], emailField) {
				h.fields[i] = append(h.fields[i], emailField)
			}
		case len(h.fields[i]) == 0 && n != "":
			f := snake(n)
			if f == "" {
				f = fmt.Sprintf("column_%d", i+1)
			}
			h.fields[i] = []string{f}
		}
	}
}

func (h *header) plan(email int) (*plan, error) {
	p := &plan{width: len(h.names), email: email}
	owner := map[string]int{}
	for i, fields := range h.fields {
		from := i
		if i == email {
			from = isAddress
		}
		for _, f := range fields {
			if j, ok := owner[f]; ok {
				other := i
				if i == email {
					other = j
				}
				return nil, h.errorf(fmt.Sprintf("give one another name: columns: {other_%s: %q}", f, h.names[other]),
					"the columns %q and %q would both be the merge field %s", h.names[j], h.names[i], f)
			}
			owner[f] = i
			p.fields = append(p.fields, f)
			p.from = append(p.from, from)
		}
	}

	return p, nil
}

// Field returns the merge field that a column with this header becomes, where no option
// names another; empty when the header has neither letters nor digits.
func Field(header string) string { return snake(header) }

// snake turns a header into a merge field: "First Name" and "firstName" are
// first_name, "E-Mail" is e_mail, "2nd" is _2nd. It returns "" when the header
// has neither letters nor digits.
func snake(s string) string {
	var b strings.Builder
	gap := false
	prev := rune(0)
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			gap = true
			prev = 0
			continue
		}

		if b.Len() > 0 && (gap || unicode.IsUpper(r) && unicode.IsLower(prev)) {
			b.WriteByte('_')
		} else if b.Len() == 0 && unicode.IsDigit(r) {
			b.WriteByte('_')
		}

		gap = false
		prev = r
		b.WriteRune(unicode.ToLower(r))
	}

	return b.String()
}

// identifier reports whether a template can say {{.s}}.
func identifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

func quoteAll(names []string) string {
	const most = 20
	var quoted []string
	for _, n := range names[:min(len(names), most)] {
		quoted = append(quoted, strconv.Quote(shown(n)))
	}

	list := strings.Join(quoted, ", ")
	if len(names) > most {
		list += fmt.Sprintf(" and %d more", len(names)-most)
	}

	return list
}

// fill makes a Row of the values of the file. More values than columns are a *Reject,
// which shows them with a separator between.
func (p *plan) fill(row *Row, line int, values []string, separator string) error {
	if len(values) > p.width {
		return &Reject{Line: line, Reason: fmt.Sprintf("%d columns instead of %d", len(values), p.width), Value: shown(strings.Join(values, separator))}
	}

	for len(values) < p.width { // spreadsheets leave empty last cells out
		values = append(values, "")
	}

	a, err := address.Parse(values[p.email])
	if err != nil {
		return &Reject{Line: line, Reason: err.Error(), Value: shown(values[p.email])}
	}

	written := spelling(a, values[p.email])
	row.Line = line
	row.Address = a
	row.Values = row.Values[:0]
	size := 0
	for _, from := range p.from {
		v := written
		if from != isAddress {
			v = values[from]
		}
		size += len(v)
		row.Values = append(row.Values, v)
	}

	if size > maxRow {
		return &Reject{Line: line, Reason: "values of more than 64 KiB", Value: a.String()}
	}

	return nil
}

// spelling returns a.String(). Nearly always that is s itself, and there is no
// allocation.
func spelling(a address.Address, s string) string {
	n := len(a.Local)
	if len(s) == n+1+len(a.Domain) && s[:n] == a.Local && s[n+1:] == a.Domain {
		return s
	}
	return a.String()
}
