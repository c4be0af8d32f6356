package audience

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"broadside/campaign/address"

	"github.com/klauspost/compress/zstd"
)

// ChunkSize is how many rows a chunk holds; only the last one of an audience
// may have fewer. Recipient i of a part is row i%ChunkSize of chunk
// i/ChunkSize.
const ChunkSize = 1000

// maxChunk bounds a chunk before compression: rows of the greatest size that a
// Reader gives, with room for their lengths.
const maxChunk = ChunkSize * (maxRow + 4096)

// A chunk is a Zstandard frame with a checksum, around columns:
//
//	chunk   = version rows fields lines locals domains column* meta*   one column for each field
//	version = 1, or 2 where there is a meta
//	lines   = varint*                 difference to the line before
//	column  = kind [text]             kind 1 is the address, and has no text
//	text    = length* bytes           all lengths, then all values
//	meta    = kind ...                kind 1 is the Origin: part+1 of each row (0: it has
//	                                  none), then the index of each row that has one
//
// A version or a kind that the reader does not know is an error. A new part of Meta
// is a new kind; readers of version 1 know no meta at all.
//
// Numbers are LEB128 as in encoding/binary. Values of one column stand
// together because they compress better so: half of what rows take.
const (
	versionPlain  = 1
	versionMeta   = 2
	columnText    = 0
	columnAddress = 1
	metaOrigin    = 1
)

// encoder and decoder are stateless as used here (EncodeAll, DecodeAll) and
// safe for any number of goroutines; they start none.
var (
	encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithWindowSize(1<<20))
	})
	chunkDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxChunk))
	})
	scratch = sync.Pool{New: func() any { return new([]byte) }}
)

// release puts a buffer back unless it has become unusually large.
func release(buf *[]byte) {
	if cap(*buf) <= 1<<20 {
		scratch.Put(buf)
	}
}

// EncodeChunk appends the rows, at most ChunkSize, to dst. A row with fewer
// values than others has empty ones for them. It panics on more rows, as an
// index out of range does.
func EncodeChunk(dst []byte, rows []Row) []byte {
	if len(rows) > ChunkSize {
		panic(fmt.Sprintf("audience: chunk of %d rows", len(rows)))
	}

	fields := 0
	version := byte(versionPlain)
	for i := range rows {
		fields = max(fields, len(rows[i].Values))
		if rows[i].Meta != nil && rows[i].Meta.Origin != nil {
			version = versionMeta
		}
	}

	buf := scratch.Get().(*[]byte)
	defer release(buf)
	b := append((*buf)[:0], version)
	b = binary.AppendUvarint(b, uint64(len(rows)))
	b = binary.AppendUvarint(b, uint64(fields))
	line := 0
	for i := range rows {
		b = binary.AppendVarint(b, int64(rows[i].Line-line))
		line = rows[i].Line
	}

	b = appendText(b, rows, func(r *Row) string { return r.Address.Local })
	b = appendText(b, rows, func(r *Row) string { return r.Address.Domain })
	for f := range fields {
		value := func(r *Row) string {
			if f < len(r.Values) {
				return r.Values[f]
			}
			return ""
		}
		if holdsAddress(rows, value) {
			b = append(b, columnAddress)
			continue
		}
		b = appendText(append(b, columnText), rows, value)
	}

	if version == versionMeta {
		b = appendOrigins(b, rows)
	}

	*buf = b
	e, err := encoder()
	if err != nil {
		panic(fmt.Sprintf("audience: zstd options: %v", err)) // constants: a test would have found it
	}

	return e.EncodeAll(b, dst)
}

// appendOrigins appends the meta of kind 1.
func appendOrigins(b []byte, rows []Row) []byte {
	b = append(b, metaOrigin)
	var indexes []byte
	for i := range rows {
		m := rows[i].Meta
		if m == nil || m.Origin == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(m.Origin.Part)+1)
		indexes = binary.AppendUvarint(indexes, uint64(m.Origin.Index))
	}

	return append(b, indexes...)
}

func appendText(b []byte, rows []Row, value func(*Row) string) []byte {
	for i := range rows {
		b = binary.AppendUvarint(b, uint64(len(value(&rows[i]))))
	}
	for i := range rows {
		b = append(b, value(&rows[i])...)
	}
	return b
}

func holdsAddress(rows []Row, value func(*Row) string) bool {
	for i := range rows {
		a := &rows[i].Address
		v := value(&rows[i])
		n := len(a.Local)
		if len(v) != n+1+len(a.Domain) || v[:n] != a.Local || v[n] != '@' || v[n+1:] != a.Domain {
			return false
		}
	}
	return true
}

// A Chunk is a decoded chunk; it is read only, and safe for any number of
// goroutines.
type Chunk struct{ rows []Row }

// Len returns the number of rows.
func (c *Chunk) Len() int { return len(c.rows) }

// Row returns row i, which the caller must not change.
func (c *Chunk) Row(i int) Row { return c.rows[i] }

var errChunk = errors.New("broken chunk")

// DecodeChunk is the reverse of EncodeChunk. Whatever data holds, it gives an
// error, or rows whose addresses are what address.Parse accepts.
func DecodeChunk(data []byte) (*Chunk, error) {
	d, err := chunkDecoder()
	if err != nil {
		return nil, fmt.Errorf("decode chunk: %w", err)
	}

	buf := scratch.Get().(*[]byte)
	defer release(buf)
	raw, err := d.DecodeAll(data, (*buf)[:0])
	if err != nil {
		return nil, fmt.Errorf("decode chunk: %w", err)
	}

	*buf = raw
	c, err := parseChunk(string(raw)) // the strings of the rows are parts of this one
	if err != nil {
		return nil, fmt.Errorf("decode chunk: %w", err)
	}

	return c, nil
}

func parseChunk(s string) (*Chunk, error) {
	p := &chunkText{s: s}
	version := p.byte()
	if version != versionPlain && version != versionMeta {
		return nil, fmt.Errorf("%w: found version %d, expected %d or %d: it was written by another version of Broadside", errChunk, version, versionPlain, versionMeta)
	}

	rows := p.number(ChunkSize)
	fields := p.number(2 * maxColumns)
	if p.broken {
		return nil, errChunk
	}

	c := &Chunk{rows: make([]Row, rows)}
	line := int64(0)
	for i := range c.rows {
		line += p.difference()
		c.rows[i].Line = int(line)
	}

	p.text(rows, func(i int, v string) { c.rows[i].Address.Local = v })
	p.text(rows, func(i int, v string) { c.rows[i].Address.Domain = v })
	if p.broken {
		return nil, errChunk
	}

	written, err := checkAddresses(c.rows)
	if err != nil {
		return nil, err
	}

	cells := make([]string, rows*fields)
	for f := range fields {
		switch p.byte() {
		case columnAddress:
			for i := range rows {
				cells[i*fields+f] = written[i]
			}
		case columnText:
			p.text(rows, func(i int, v string) { cells[i*fields+f] = v })
		default:
			p.broken = true
		}
	}

	for version == versionMeta && p.s != "" && !p.broken {
		p.meta(c.rows)
	}

	if p.broken || p.s != "" {
		return nil, errChunk
	}

	for i := range c.rows {
		c.rows[i].Values = cells[i*fields : (i+1)*fields : (i+1)*fields]
	}

	return c, nil
}

// checkAddresses returns the addresses as text, and takes rows out of doubt:
// a damaged store must not bring a line end into an envelope.
func checkAddresses(rows []Row) ([]string, error) {
	var b strings.Builder
	ends := make([]int, len(rows))
	for i := range rows {
		b.WriteString(rows[i].Address.Local)
		b.WriteByte('@')
		b.WriteString(rows[i].Address.Domain)
		ends[i] = b.Len()
	}

	all := b.String()
	start := 0
	written := make([]string, len(rows))
	for i, end := range ends {
		written[i] = all[start:end]
		start = end
		if a, err := address.Parse(written[i]); err != nil || a != rows[i].Address {
			return nil, fmt.Errorf("%w: not an address in row %d", errChunk, i)
		}
	}

	return written, nil
}

// chunkText reads the parts of a chunk; broken is set by the first that is
// not there.
type chunkText struct {
	s      string
	broken bool
}

func (p *chunkText) byte() byte {
	if p.s == "" {
		p.broken = true
		return 0xff
	}
	c := p.s[0]
	p.s = p.s[1:]
	return c
}

// meta reads one kind of Meta of all rows.
func (p *chunkText) meta(rows []Row) {
	if p.byte() != metaOrigin {
		p.broken = true
		return
	}

	origins := make([]Origin, len(rows))
	metas := make([]Meta, len(rows))
	for i := range rows {
		part := p.number(maxOriginPart + 1)
		if part == 0 {
			continue
		}
		origins[i].Part = part - 1
		metas[i].Origin = &origins[i]
		rows[i].Meta = &metas[i]
	}

	for i := range rows {
		if rows[i].Meta != nil {
			origins[i].Index = p.number(maxOriginIndex)
		}
	}
}

// number reads an unsigned number up to most.
func (p *chunkText) number(most int) int {
	var v uint64
	for shift := 0; shift < 63; shift += 7 {
		c := p.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > uint64(most) {
				break
			}
			return int(v)
		}
		if p.broken {
			return 0
		}
	}

	p.broken = true
	return 0
}

// difference reads a signed number as binary.AppendVarint writes it.
func (p *chunkText) difference() int64 {
	v := p.number(1 << 40)
	if v&1 != 0 {
		return ^int64(v >> 1)
	}
	return int64(v >> 1)
}

// text reads n values and calls set with each.
func (p *chunkText) text(n int, set func(i int, v string)) {
	var lengths [ChunkSize]int
	total := 0
	for i := range n {
		lengths[i] = p.number(len(p.s))
		total += lengths[i]
	}

	if p.broken || total > len(p.s) {
		p.broken = true
		return
	}

	for i := range n {
		set(i, p.s[:lengths[i]])
		p.s = p.s[lengths[i]:]
	}
}
