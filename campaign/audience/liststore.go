package audience

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"broadside/campaign"
)

const (
	// uncommittedLife is how long the chunks of an import that is never committed
	// live. Each batch starts it again.
	uncommittedLife = time.Hour
	// batch is how many chunks go to or come from Redis in one round trip:
	// a quarter of a megabyte.
	batch = 16
)

// A record is how a version is stored.
type record struct {
	Version
	Chunks int `json:"chunks"`
}

// store commits a version whose chunks are complete. base is the version that it was
// made from, or "" if it replaces any version.
func (l *Lists) store(ctx context.Context, name, base string, v Version) (Version, error) {
	v.Created = time.Now().UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(record{Version: v, Chunks: v.chunks})
	if err != nil {
		return Version{}, fmt.Errorf("store list %s: %w", name, err)
	}

	// The name first: an index entry without a list is passed over, a list
	// without an entry would be lost.
	if err := l.rdb.SAdd(ctx, l.index(), name).Err(); err != nil {
		return Version{}, fmt.Errorf("store list %s: %w", name, err)
	}

	keys := []string{l.versions(name), l.data(name, v.data)}
	n, err := l.commit.Run(ctx, l.rdb, keys, base, v.chunks, keepVersions, v.data, text, keepJoined).Int()
	switch {
	case err != nil:
		return Version{}, fmt.Errorf("store list %s: %w", name, err)
	case n == -1:
		return Version{}, fmt.Errorf("store list %s: %w", name, ErrChanged)
	case n < 0:
		return Version{}, fmt.Errorf("store list %s: some of its chunks are gone", name)
	}

	v.N = n
	return v, nil
}

// A listWriter stores rows as chunks under an id of its own, where they cannot be seen
// before commit.
type listWriter struct {
	l      *Lists
	name   string
	id     string
	dry    bool
	rows   []Row // buffered; [:n] are filled
	n      int
	total  int64
	chunks int
	wait   []any                                        // field, chunk, field, chunk ...: not yet sent
	bytes  int64                                        // in wait
	room   func(ctx context.Context, bytes int64) error // as in ImportOptions
}

func (l *Lists) newWriter(name string, dry bool) *listWriter {
	return &listWriter{l: l, name: name, id: rand.Text(), dry: dry, rows: make([]Row, ChunkSize)}
}

// add copies the row; from maps its values to those of the list, -1 to none.
func (w *listWriter) add(ctx context.Context, row *Row, from []int) error {
	w.total++
	to := &w.rows[w.n]
	to.Line = int(w.total)
	to.Address = row.Address
	to.Values = to.Values[:0]
	size := 0
	for _, f := range from {
		v := ""
		if f >= 0 {
			v = row.Values[f]
		}
		size += len(v)
		to.Values = append(to.Values, v)
	}

	if size > maxRow { // only old and new values together can be
		return &FileError{File: listPrefix + w.name, What: fmt.Sprintf("values of more than 64 KiB together for %q", row.Address), Fix: "leave out columns, or import with replace"}
	}

	w.n++
	if w.n < len(w.rows) {
		return nil
	}

	return w.endChunk(ctx)
}

func (w *listWriter) endChunk(ctx context.Context) error {
	if w.n > 0 {
		chunk := EncodeChunk(nil, w.rows[:w.n])
		w.wait = append(w.wait, strconv.Itoa(w.chunks), chunk)
		w.bytes += int64(len(chunk))
		w.chunks++
		w.n = 0
	}

	if len(w.wait) < 2*batch {
		return nil
	}

	return w.flush(ctx)
}

func (w *listWriter) flush(ctx context.Context) error {
	if len(w.wait) == 0 || w.dry {
		w.wait = w.wait[:0]
		return nil
	}

	if w.room != nil {
		if err := w.room(ctx, w.bytes); err != nil {
			return err
		}
	}

	pipe := w.l.rdb.TxPipeline() // so that chunks always expire
	key := w.l.data(w.name, w.id)
	pipe.HSet(ctx, key, w.wait...)
	pipe.Expire(ctx, key, uncommittedLife)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store list %s: %w", w.name, err)
	}

	w.wait = w.wait[:0]
	w.bytes = 0

	return nil
}

// commit makes what was added the newest version.
func (w *listWriter) commit(ctx context.Context, base string, v Version) (Version, error) {
	if err := w.endChunk(ctx); err != nil {
		return Version{}, err
	}
	if err := w.flush(ctx); err != nil {
		return Version{}, err
	}

	v.Count = w.total
	v.chunks = w.chunks
	v.data = w.id
	if w.dry {
		return v, nil
	}

	return w.l.store(ctx, w.name, base, v)
}

// discard removes what was written and not committed. If that fails, the chunks
// expire.
func (w *listWriter) discard(ctx context.Context) {
	if w.chunks > 0 && !w.dry {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		w.l.rdb.Unlink(ctx, w.l.data(w.name, w.id))
	}
}

// A listDecoder reads the chunks of one version.
type listDecoder struct {
	ctx  context.Context // of the reading, as Open has it
	l    *Lists
	name string
	v    Version
	plan *plan // nil: the columns as stored

	at     int // chunk to fetch
	loaded []string
	chunk  *Chunk
	row    int // in chunk
	total  int64
}

func (d *listDecoder) next(row *Row) error {
	for d.chunk == nil || d.row == d.chunk.Len() {
		if err := d.nextChunk(); err != nil {
			return err
		}
	}

	r := d.chunk.Row(d.row)
	d.row++
	d.total++
	row.Line = r.Line
	row.Address = r.Address
	if d.plan == nil {
		row.Values = append(row.Values[:0], r.Values...)
		return nil
	}

	row.Values = row.Values[:0]
	for _, f := range d.plan.from {
		if f == isAddress {
			f = d.plan.email
		}
		row.Values = append(row.Values, r.Values[f])
	}

	return nil
}

func (d *listDecoder) nextChunk() error {
	if len(d.loaded) == 0 {
		if d.at == d.v.chunks {
			if d.total != d.v.Count {
				return fmt.Errorf("read list %s: %d rows instead of %d", d.name, d.total, d.v.Count)
			}
			return io.EOF
		}
		if err := d.load(); err != nil {
			return err
		}
	}

	c, err := DecodeChunk([]byte(d.loaded[0]))
	if err != nil {
		return fmt.Errorf("read list %s: %w", d.name, err)
	}

	for i := range c.Len() {
		if len(c.Row(i).Values) != len(d.v.Columns) {
			return fmt.Errorf("read list %s: %w: wrong number of columns", d.name, errChunk)
		}
	}

	d.loaded = d.loaded[1:]
	d.chunk = c
	d.row = 0

	return nil
}

// load fetches the next chunks.
func (d *listDecoder) load() error {
	var fields []string
	for ; d.at < d.v.chunks && len(fields) < batch; d.at++ {
		fields = append(fields, strconv.Itoa(d.at))
	}

	key := d.l.data(d.name, d.v.data)
	values, err := d.l.rdb.HMGet(d.ctx, key, fields...).Result()
	if err != nil {
		return campaign.ReadError(err, "list "+d.name, key)
	}

	d.loaded = d.loaded[:0]
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("read list %s: version %d is gone: the list was changed while it was read", d.name, d.v.N)
		}
		d.loaded = append(d.loaded, s)
	}

	return nil
}

// positions returns where each of columns is among have, -1 for not there.
func positions(columns, have []string) []int {
	from := make([]int, len(columns))
	for i, c := range columns {
		from[i] = slices.Index(have, c)
	}
	return from
}
