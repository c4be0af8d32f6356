package audience

import (
	"context"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/configs/strictyaml"

	"github.com/redis/go-redis/v9"
)

// How many versions of a list are kept: of those that an operator has made, and of those
// that people have made who put themselves on it. The newest one is kept in any case.
const (
	keepVersions = 3
	keepJoined   = 2
)

// changeJoined is the Change of a version that people have made who put themselves on the
// list.
const changeJoined = "subscribe"

// listPrefix marks a list where a source is named: list:NAME.
const listPrefix = "list:"

var (
	//go:embed lua/commit.lua
	commitLua string
	//go:embed lua/rm.lua
	rmLua string
)

// ErrNoList is the cause of the *FileError for a list or version that does not exist.
var ErrNoList = errors.New("no such list")

// ErrChanged means that the list was changed by another process at the same time, and
// nothing was stored.
var ErrChanged = errors.New("the list was changed by someone else meanwhile")

// Lists keeps named lists in Redis. A list is a sequence of versions. Each version is
// complete before it can be seen, and never changes after that. The keys, with those of
// one list in one slot:
//
//	PREFIX:lists                    set of names; may hold one whose list is gone
//	PREFIX:list:{NAME}:versions     hash: last, N (record), N:data (id)
//	PREFIX:list:{NAME}:data:ID      hash: chunk number -> chunk; expires until committed
type Lists struct {
	rdb        redis.UniversalClient
	prefix     string
	commit, rm *redis.Script
}

// NewLists returns the lists under a key prefix.
func NewLists(rdb redis.UniversalClient, prefix string) *Lists {
	return &Lists{rdb: rdb, prefix: prefix, commit: redis.NewScript(commitLua), rm: redis.NewScript(rmLua)}
}

// A List describes a stored list.
type List struct {
	Name     string    `json:"name"`
	Count    int64     `json:"count"` // recipients in the newest version
	Columns  []string  `json:"columns"`
	Updated  time.Time `json:"updated"`
	Versions []Version `json:"versions"`         // kept ones, newest first
	Broken   string    `json:"broken,omitempty"` // why it cannot be read; then only the name is known
}

// A Version describes one version of a list.
type Version struct {
	N       int       `json:"version"`
	Count   int64     `json:"count"`
	Columns []string  `json:"columns"`
	Created time.Time `json:"created"`
	Change  string    `json:"change"` // replace, merge, add, remove, restore, subscribe
	From    string    `json:"from"`   // the file, or what was given

	chunks int
	data   string // id of the chunks
}

// ListName returns NAME when source is list:NAME.
func ListName(source string) (name string, ok bool) { return strings.CutPrefix(source, listPrefix) }

var listNames = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func checkName(name string) error {
	if listNames.MatchString(name) {
		return nil
	}
	return &FileError{
		File: listPrefix + name, What: "not a name for a list",
		Fix: "use up to 64 of a-z, 0-9, dot, hyphen and _, beginning with a letter or digit",
	}
}

func (l *Lists) index() string               { return l.prefix + ":lists" }
func (l *Lists) versions(name string) string { return l.prefix + ":list:{" + name + "}:versions" }
func (l *Lists) data(name, id string) string { return l.prefix + ":list:{" + name + "}:data:" + id }

// Ls returns all lists by name. One that cannot be read has the reason as Broken.
func (l *Lists) Ls(ctx context.Context) ([]List, error) {
	names, err := l.rdb.SMembers(ctx, l.index()).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of lists", l.index())
	}

	slices.Sort(names)
	lists := []List{}
	for _, name := range names {
		versions, err := l.load(ctx, name)
		switch {
		case campaign.IsBroken(err):
			lists = append(lists, List{Name: name, Columns: []string{}, Versions: []Version{}, Broken: err.Error()})
		case err != nil:
			return nil, err
		case len(versions) > 0:
			lists = append(lists, describe(name, versions))
		}
	}

	return lists, nil
}

// Show returns one list, or a *FileError if there is no list of that name.
func (l *Lists) Show(ctx context.Context, name string) (List, error) {
	versions, err := l.existing(ctx, name)
	if err != nil {
		return List{}, err
	}
	return describe(name, versions), nil
}

func describe(name string, versions []Version) List {
	return List{Name: name, Count: versions[0].Count, Columns: versions[0].Columns, Updated: versions[0].Created, Versions: versions}
}

// Rm removes a list and all its versions.
func (l *Lists) Rm(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}

	n, err := l.rm.Run(ctx, l.rdb, []string{l.versions(name)}, l.data(name, "")).Int()
	if err != nil {
		return fmt.Errorf("remove list %s: %w", name, err)
	}

	if n == 0 {
		return l.missing(ctx, name)
	}
	if err := l.rdb.SRem(ctx, l.index(), name).Err(); err != nil {
		return fmt.Errorf("remove list %s from the index: %w", name, err)
	}

	return nil
}

// Erase takes an address out of a list, and removes the older versions of the list that
// have it. It reports whether any version had it.
func (l *Lists) Erase(ctx context.Context, name string, a address.Address) (bool, error) {
	removed, err := l.Remove(ctx, name, a)
	if err != nil {
		return false, err
	}

	versions, err := l.existing(ctx, name)
	if err != nil {
		return false, err
	}
	pipe := l.rdb.TxPipeline()
	for _, v := range versions[1:] {
		had, err := l.has(ctx, name, v, a)
		if err != nil {
			return removed > 0, err
		}
		if had { // then no version without the address has these chunks
			pipe.HDel(ctx, l.versions(name), strconv.Itoa(v.N), strconv.Itoa(v.N)+":data")
			pipe.Del(ctx, l.data(name, v.data))
		}
	}

	erased := removed > 0 || pipe.Len() > 0
	if _, err := pipe.Exec(ctx); err != nil {
		return erased, fmt.Errorf("erase an address from older versions of list %s: %w", name, err)
	}
	return erased, nil
}

// Has reports whether the newest version of a list, or an older one that is kept, has an
// address.
func (l *Lists) Has(ctx context.Context, name string, a address.Address) (bool, error) {
	versions, err := l.existing(ctx, name)
	if err != nil {
		return false, err
	}
	for _, v := range versions {
		had, err := l.has(ctx, name, v, a)
		if had || err != nil {
			return had, err
		}
	}
	return false, nil
}

func (l *Lists) has(ctx context.Context, name string, v Version, a address.Address) (bool, error) {
	found := false
	err := l.each(ctx, name, v, func(row *Row) error {
		found = found || row.Address.Canonical() == a.Canonical()
		return nil
	})
	return found, err
}

// Restore makes version n, one of those kept, the newest again.
func (l *Lists) Restore(ctx context.Context, name string, n int) (Version, error) {
	versions, err := l.existing(ctx, name)
	if err != nil {
		return Version{}, err
	}

	i := slices.IndexFunc(versions, func(v Version) bool { return v.N == n })
	if i < 0 {
		var kept []string
		for _, v := range versions {
			kept = append(kept, strconv.Itoa(v.N))
		}
		return Version{}, &FileError{File: listPrefix + name, What: fmt.Sprintf("no version %d", n), Fix: "kept are " + strings.Join(kept, ", "), Err: ErrNoList}
	}

	v := versions[i]
	v.Change = "restore"
	v.From = fmt.Sprintf("%s@%d", name, n)

	return l.store(ctx, name, strconv.Itoa(versions[0].N), v)
}

// Open reads the newest version of a list as Open reads a file. Of the
// options only Columns applies: it renames columns of the list.
func (l *Lists) Open(ctx context.Context, name string, opts Options) (*Reader, error) {
	versions, err := l.existing(ctx, name)
	if err != nil {
		return nil, err
	}

	v := versions[0]
	source := listPrefix + name
	if opts.Email != "" && !strings.EqualFold(opts.Email, emailField) {
		return nil, &FileError{File: source, What: fmt.Sprintf("email says %q, a list has its addresses in %s", opts.Email, emailField), Fix: "leave email out"}
	}
	if v.Count == 0 {
		return nil, &FileError{File: source, What: "the list is empty", Fix: "fill it with: broadside list import " + name + " FILE"}
	}

	plan, err := planColumns(&lines{stream: &stream{name: source}}, v.Columns, Options{Email: emailField, Columns: opts.Columns})
	if err != nil {
		return nil, err
	}

	d := &listDecoder{ctx: ctx, l: l, name: name, v: v, plan: plan}
	return FromRows(source, plan.fields, d.next), nil
}

// Each calls do with every row of the newest version; the row is used again.
// The values are in the order of List.Columns. A list may be empty.
func (l *Lists) Each(ctx context.Context, name string, do func(*Row) error) error {
	versions, err := l.existing(ctx, name)
	if err != nil {
		return err
	}
	return l.each(ctx, name, versions[0], do)
}

func (l *Lists) each(ctx context.Context, name string, v Version, do func(*Row) error) error {
	d := &listDecoder{ctx: ctx, l: l, name: name, v: v}
	var row Row
	for {
		switch err := d.next(&row); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := do(&row); err != nil {
			return err
		}
	}
}

// Export writes the newest version as CSV, which Import reads back unchanged.
func (l *Lists) Export(ctx context.Context, name string, w io.Writer) error {
	versions, err := l.existing(ctx, name)
	if err != nil {
		return err
	}

	c := csv.NewWriter(w)
	if err := c.Write(versions[0].Columns); err != nil {
		return fmt.Errorf("export list %s: %w", name, err)
	}
	if err := l.each(ctx, name, versions[0], func(row *Row) error { return c.Write(row.Values) }); err != nil {
		return fmt.Errorf("export list %s: %w", name, err)
	}
	if c.Flush(); c.Error() != nil {
		return fmt.Errorf("export list %s: %w", name, c.Error())
	}

	return nil
}

// load returns the kept versions, newest first; none when there is no list.
func (l *Lists) load(ctx context.Context, name string) ([]Version, error) {
	all, err := l.rdb.HGetAll(ctx, l.versions(name)).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "list "+name, l.versions(name))
	}

	var versions []Version
	for field, text := range all {
		n, err := strconv.Atoi(field)
		if err != nil {
			continue // last, or the id of a version's chunks
		}

		var r record
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, &campaign.BrokenError{What: fmt.Sprintf("version %d of list %s", n, name), Key: l.versions(name), Err: err}
		}
		r.N = n
		r.chunks = r.Chunks
		r.data = all[field+":data"]
		versions = append(versions, r.Version)
	}

	slices.SortFunc(versions, func(a, b Version) int { return b.N - a.N })
	return versions, nil
}

// existing is load for a list that has to exist.
func (l *Lists) existing(ctx context.Context, name string) ([]Version, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}

	versions, err := l.load(ctx, name)
	if err != nil {
		return nil, err
	}

	if len(versions) == 0 {
		return nil, l.missing(ctx, name)
	}

	return versions, nil
}

func (l *Lists) missing(ctx context.Context, name string) error {
	e := &FileError{File: listPrefix + name, What: "no such list", Fix: "make it with: broadside list import " + name + " FILE", Err: ErrNoList}
	if names, err := l.rdb.SMembers(ctx, l.index()).Result(); err == nil {
		if s := strictyaml.Suggest(name, names); s != "" && s != name {
			e.Fix = "did you mean " + listPrefix + s + "?"
		}
	}
	return e
}
