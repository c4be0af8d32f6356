package audience_test

import (
	"bytes"
	"strings"
	"testing"

	"broadside/campaign/address"
	"broadside/campaign/audience"

	"github.com/google/go-cmp/cmp"
)

// rowsOf reads a file that has no fault.
func rowsOf(t testing.TB, file string) []audience.Row {
	t.Helper()
	r, err := audience.Open(t.Context(), stdin(file), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}

	var rows []audience.Row
	for {
		var row audience.Row
		if err := r.Next(&row); err != nil {
			return rows
		}
		rows = append(rows, row)
	}
}

func decoded(t testing.TB, data []byte) []audience.Row {
	t.Helper()
	c, err := audience.DecodeChunk(data)
	if err != nil {
		t.Fatal(err)
	}

	var rows []audience.Row
	for i := range c.Len() {
		rows = append(rows, c.Row(i))
	}

	return rows
}

func TestChunkRoundTrip(t *testing.T) {
	t.Parallel()
	mixed := []audience.Row{
		{Line: 7, Address: address.Address{Local: "ann", Domain: "x.example"}, Values: []string{"ann@x.example", "", "\x00\n"}},
		{Line: 3, Address: address.Address{Local: "用户", Domain: "xn--r8jz45g.jp"}, Values: []string{"other", "é", strings.Repeat("x", 60_000)}},
	}
	tests := []struct {
		name string
		rows []audience.Row
	}{
		{"nobody", nil},
		{"full", rowsOf(t, string(people(audience.ChunkSize)))},
		{"line order and odd values", mixed},
		{"address alone", []audience.Row{{Line: 1, Address: mixed[0].Address, Values: []string{}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := audience.EncodeChunk([]byte("before"), tt.rows)
			got := decoded(t, bytes.TrimPrefix(data, []byte("before")))
			if diff := cmp.Diff(got, tt.rows); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestChunkPadsShortRows(t *testing.T) {
	t.Parallel()
	a := address.Address{Local: "ann", Domain: "x.example"}
	got := decoded(t, audience.EncodeChunk(nil, []audience.Row{{Address: a, Values: []string{"1"}}, {Address: a, Values: []string{"1", "2"}}}))
	if diff := cmp.Diff(got[0].Values, []string{"1", ""}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// The greatest rows that a Reader gives must come back.
func TestChunkOfGreatestRows(t *testing.T) {
	t.Parallel()
	rows := make([]audience.Row, audience.ChunkSize)
	big := strings.Repeat("0123456789abcdef", 4096-1)
	for i := range rows {
		rows[i] = audience.Row{Line: i, Address: address.Address{Local: "ann", Domain: "x.example"}, Values: []string{"ann@x.example", big}}
	}

	c, err := audience.DecodeChunk(audience.EncodeChunk(nil, rows))
	if err != nil {
		t.Fatal(err)
	}

	if got := c.Row(999).Values[1]; got != big {
		t.Errorf("got %d bytes, want %d", len(got), len(big))
	}
}

func TestChunkIsSmall(t *testing.T) {
	t.Parallel()
	n := len(audience.EncodeChunk(nil, rowsOf(t, string(people(audience.ChunkSize)))))
	if n > 20*audience.ChunkSize {
		t.Errorf("%d bytes for %d rows, want at most 20 each", n, audience.ChunkSize)
	}
}

// No changed byte may change a row: a checksum covers the whole chunk.
func TestBrokenChunks(t *testing.T) {
	t.Parallel()
	rows := rowsOf(t, string(people(20)))
	good := audience.EncodeChunk(nil, rows)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x20
		if _, err := audience.DecodeChunk(bad); err == nil && !cmp.Equal(decoded(t, bad), rows) {
			t.Errorf("byte %d changed: other rows and no error", i)
		}
		if i > 0 {
			if _, err := audience.DecodeChunk(good[:i]); err == nil {
				t.Errorf("cut at %d: no error", i)
			}
		}
	}

	for name, raw := range map[string]string{
		"nothing":            "",
		"version":            "\x03\x00\x00",
		"unknown meta":       "\x02\x01\x00\x02\x01a\x03b.c\x02\x01\x00",
		"meta cut":           "\x02\x01\x00\x02\x01a\x03b.c\x01\x01",
		"meta in version 1":  "\x01\x01\x00\x02\x01a\x03b.c\x01\x01\x00",
		"too many rows":      "\x01\xe9\x07\x00",
		"too many fields":    "\x01\x01\x81\x04",
		"endless number":     "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"length beyond end":  "\x01\x01\x00\x02\x05a",
		"not an address":     "\x01\x01\x00\x02\x01a\x03b\nc",
		"unknown column":     "\x01\x01\x01\x02\x01a\x03b.c\x09",
		"text behind":        "\x01\x01\x00\x02\x01a\x03b.cx",
		"capitals in domain": "\x01\x01\x00\x02\x01a\x03B.c",
	} {
		if _, err := audience.DecodeChunk([]byte(packZstd(t, []byte(raw)))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}

	if got := decoded(t, []byte(packZstd(t, []byte("\x01\x01\x01\x02\x01a\x03b.c\x01")))); got[0].Values[0] != "a@b.c" || got[0].Line != 1 {
		t.Errorf("hand-made chunk: got %v", got)
	}
}

func TestEncodeChunkPanicsOnTooMany(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic for more rows than a chunk holds")
		}
	}()
	audience.EncodeChunk(nil, make([]audience.Row, audience.ChunkSize+1))
}
