package audience

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"broadside/campaign/address"
)

// A Mode says what an import does with the rows that are already in the list.
type Mode string

// The modes of Import. A list that does not exist is made by each of them.
const (
	Merge   Mode = "merge"   // a new row replaces the one of its address; a column that it lacks keeps its value
	Replace Mode = "replace" // the list is the new rows alone
	Add     Mode = "add"     // only new addresses are added
)

// ImportOptions steer Import; the zero value merges.
type ImportOptions struct {
	Mode     Mode
	DryRun   bool          // count, store nothing
	OnReject func(*Reject) // called with each refused row; may be nil
	// Joined says that the rows are people who have put themselves on the list. They come
	// in all the time: such versions do not push out those that an operator may restore.
	Joined bool
	// Room is asked before each write whether Redis has room for that many bytes. Its
	// error ends the import. It may be nil.
	Room func(ctx context.Context, bytes int64) error
}

// Imported says what became of the rows of an import: Rows is Added + Updated
// + Known + Invalid + Duplicate.
type Imported struct {
	Version   int   `json:"version"` // 0 after a dry run, and when nothing changed
	Rows      int64 `json:"rows"`
	Added     int64 `json:"added"`
	Updated   int64 `json:"updated"`
	Known     int64 `json:"known"` // left as they were
	Invalid   int64 `json:"invalid"`
	Duplicate int64 `json:"duplicate"` // of an earlier row of the same import: the first one counts
	Total     int64 `json:"total"`     // recipients in the list now
}

// Import reads r to its end and stores a new version of the list. If the file is at
// fault, the list was changed by another process (ErrChanged) or anything else fails, the list
// stays as it was. A merge keeps the new rows compressed in memory, about 60 bytes
// each.
func (l *Lists) Import(ctx context.Context, name string, r *Reader, opts ImportOptions) (Imported, error) {
	if err := checkName(name); err != nil {
		return Imported{}, err
	}
	if opts.Mode == "" {
		opts.Mode = Merge
	}
	if !slices.Contains([]Mode{Merge, Replace, Add}, opts.Mode) {
		return Imported{}, fmt.Errorf("import list %s: unknown mode %q; it is merge, replace or add", name, opts.Mode)
	}

	versions, err := l.load(ctx, name)
	if err != nil {
		return Imported{}, err
	}

	m := &importer{l: l, name: name, opts: opts, out: l.newWriter(name, opts.DryRun)}
	m.out.room = opts.Room
	v := Version{Change: string(opts.Mode), From: r.name}
	if opts.Joined {
		v.Change = changeJoined
	}
	base := ""
	switch {
	case opts.Mode == Replace:
		v.Columns, err = m.replace(ctx, r)
	case len(versions) == 0:
		base = "0"
		v.Columns, err = m.replace(ctx, r)
	default:
		base = strconv.Itoa(versions[0].N)
		v.Columns, err = m.merge(ctx, r, versions[0])
	}

	if err == nil && base != "" && base != "0" && m.sum.Added+m.sum.Updated == 0 {
		m.out.discard(ctx)
		m.sum.Total = versions[0].Count
		return m.sum, nil
	}

	if err == nil {
		v, err = m.out.commit(ctx, base, v)
	}

	if err != nil {
		m.out.discard(ctx)
		return Imported{}, err
	}

	m.sum.Version = v.N
	m.sum.Total = v.Count

	return m.sum, nil
}

// importer is the state of one Import.
type importer struct {
	l    *Lists
	name string
	opts ImportOptions
	sum  Imported
	out  *listWriter
}

// read calls keep with the first row of each address.
func (m *importer) read(r *Reader, isNew func(hash [32]byte) bool, keep func(*Row) error) error {
	var row Row
	for {
		err := r.Next(&row)
		if err == io.EOF {
			return nil
		}

		var reject *Reject
		switch {
		case errors.As(err, &reject):
			m.sum.Rows++
			m.sum.Invalid++
			if m.opts.OnReject != nil {
				m.opts.OnReject(reject)
			}
			continue
		case err != nil:
			return err
		}

		m.sum.Rows++
		if !isNew(row.Address.Hash()) {
			m.sum.Duplicate++
			continue
		}

		if err := keep(&row); err != nil {
			return err
		}
	}
}

// replace writes the rows of r alone.
func (m *importer) replace(ctx context.Context, r *Reader) ([]string, error) {
	var seen Seen
	from := positions(r.Columns(), r.Columns())
	err := m.read(r, seen.Add, func(row *Row) error {
		m.sum.Added++
		return m.out.add(ctx, row, from)
	})
	return r.Columns(), err
}

// fileRows holds the rows of a file, compressed, and finds them by address.
type fileRows struct {
	index  map[[16]byte]int32 // hash -> position
	chunks [][]byte
	rows   []Row // of the chunk that is being filled: [:n]
	n      int
	// of those that the list has too:
	known []bool             // by position
	old   map[int32][]string // values of the list's columns that the file lacks
}

func (f *fileRows) isNew(hash [32]byte) bool {
	key := [16]byte(hash[:16])
	if _, ok := f.index[key]; ok {
		return false
	}
	f.index[key] = int32(len(f.index))
	return true
}

func (f *fileRows) keep(row *Row) error {
	to := &f.rows[f.n]
	to.Line = row.Line
	to.Address = row.Address
	to.Values = append(to.Values[:0], row.Values...)
	f.n++
	if f.n == len(f.rows) {
		f.endChunk()
	}
	return nil
}

func (f *fileRows) endChunk() {
	if f.n > 0 {
		f.chunks = append(f.chunks, EncodeChunk(nil, f.rows[:f.n]))
		f.n = 0
	}
}

// merge writes the rows of the list that the file does not replace, then
// those of the file.
func (m *importer) merge(ctx context.Context, r *Reader, base Version) ([]string, error) {
	f := &fileRows{index: map[[16]byte]int32{}, rows: make([]Row, ChunkSize), old: map[int32][]string{}}
	if err := m.read(r, f.isNew, f.keep); err != nil {
		return nil, err
	}

	f.endChunk()
	f.known = make([]bool, len(f.index))
	columns := slices.Clone(base.Columns)
	for _, c := range r.Columns() {
		if !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
	}

	if len(columns) > maxColumns {
		return nil, &FileError{File: r.name, What: fmt.Sprintf("the list would have %d columns, at most %d are kept", len(columns), maxColumns), Fix: "leave out columns, or import with replace"}
	}
	if err := m.oldRows(ctx, f, base, columns, r.Columns()); err != nil {
		return nil, err
	}

	return columns, m.newRows(ctx, f, columns, r.Columns())
}

// oldRows writes the rows that stay, and remembers what is needed of the others.
func (m *importer) oldRows(ctx context.Context, f *fileRows, base Version, columns, have []string) error {
	from := positions(columns, base.Columns)
	var kept []int // columns that the file lacks
	for i, c := range base.Columns {
		if !slices.Contains(have, c) {
			kept = append(kept, i)
		}
	}

	return m.l.each(ctx, m.name, base, func(row *Row) error {
		hash := row.Address.Hash()
		i, ok := f.index[[16]byte(hash[:16])]
		if ok {
			f.known[i] = true
		}

		if !ok || m.opts.Mode == Add {
			return m.out.add(ctx, row, from)
		}

		if len(kept) > 0 {
			values := make([]string, len(kept))
			for j, k := range kept {
				values[j] = row.Values[k]
			}
			f.old[i] = values
		}

		return nil
	})
}

// newRows writes the rows of the file.
func (m *importer) newRows(ctx context.Context, f *fileRows, columns, have []string) error {
	from := positions(columns, have)
	lacks := 0 // columns that the file lacks stand behind its own in a row
	for i := range from {
		if from[i] < 0 {
			from[i] = len(have) + lacks
			lacks++
		}
	}

	none := make([]string, lacks)
	i := int32(0)
	var row Row
	for _, data := range f.chunks {
		c, err := DecodeChunk(data)
		if err != nil {
			return fmt.Errorf("import list %s: %w", m.name, err)
		}

		for j := range c.Len() {
			values, ok := f.old[i]
			if !ok {
				values = none
			}

			switch {
			case !f.known[i]:
				m.sum.Added++
			case m.opts.Mode == Add:
				m.sum.Known++
			default:
				m.sum.Updated++
			}

			if !f.known[i] || m.opts.Mode == Merge {
				r := c.Row(j)
				row.Address = r.Address
				row.Values = append(append(row.Values[:0], r.Values...), values...)
				if err := m.out.add(ctx, &row, from); err != nil {
					return err
				}
			}

			i++
		}
	}

	return nil
}

// Add adds addresses to a list, without values for its other columns. It makes the
// list if it does not exist.
func (l *Lists) Add(ctx context.Context, name string, addresses ...address.Address) (Imported, error) {
	return untilUnchanged(func() (Imported, error) {
		n := 0
		r := FromRows("list add", []string{emailField}, func(row *Row) error {
			if n == len(addresses) {
				return io.EOF
			}
			a := addresses[n]
			n++
			row.Line = n
			row.Address = a
			row.Values = append(row.Values[:0], a.String())
			return nil
		})
		return l.Import(ctx, name, r, ImportOptions{Mode: Add})
	})
}

// Remove removes addresses from a list and returns how many of them were on it. If none
// was, there is no new version.
func (l *Lists) Remove(ctx context.Context, name string, addresses ...address.Address) (int64, error) {
	return untilUnchanged(func() (int64, error) { return l.remove(ctx, name, addresses) })
}

// untilUnchanged makes a change of a few addresses, and up to five times if others
// change the list at the same time.
func untilUnchanged[T any](change func() (T, error)) (result T, err error) {
	for range 5 {
		if result, err = change(); !errors.Is(err, ErrChanged) {
			break
		}
	}
	return result, err
}

func (l *Lists) remove(ctx context.Context, name string, addresses []address.Address) (int64, error) {
	versions, err := l.existing(ctx, name)
	if err != nil {
		return 0, err
	}

	var off Seen
	for _, a := range addresses {
		off.Add(a.Hash())
	}

	base := versions[0]
	out := l.newWriter(name, false)
	from := positions(base.Columns, base.Columns)
	err = l.each(ctx, name, base, func(row *Row) error {
		if off.Has(row.Address.Hash()) {
			return nil
		}
		return out.add(ctx, row, from)
	})
	removed := base.Count - out.total
	if err == nil && removed > 0 {
		_, err = out.commit(ctx, strconv.Itoa(base.N), Version{Columns: base.Columns, Change: "remove", From: "list remove"})
	}
	if err != nil || removed == 0 {
		out.discard(ctx)
	}
	if err != nil {
		return 0, err
	}

	return removed, nil
}
