package audience_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/address"
	"broadside/campaign/audience"
)

var (
	ann = address.Address{Local: "ann", Domain: "x.example"}
	bob = address.Address{Local: "bob", Domain: "y.example"}
)

func chunkFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The files were written by the code before rows had a Meta (1051741). Runs that were
// made by it are finished by this code.
func TestChunksOfVersion1AreRead(t *testing.T) {
	t.Parallel()
	want := []audience.Row{
		{Line: 2, Address: ann, Values: []string{"ann@x.example", "Ann"}},
		{Line: 3, Address: bob, Values: []string{"bob@y.example", ""}},
	}
	if diff := cmp.Diff(want, decoded(t, chunkFile(t, "version1.chunk"))); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}

	for i, row := range want {
		if o, err := row.Origin(2); err == nil {
			t.Errorf("row %d: origin %v, want an error", i, o)
		}
	}

	// In a resend the place in the first run stood behind the two merge fields.
	places := []audience.Origin{{Part: 3, Index: 17}, {}}
	for i, row := range decoded(t, chunkFile(t, "version1-resend.chunk")) {
		got, err := row.Origin(2)
		if err != nil || got != places[i] || row.Address != want[i].Address || !cmp.Equal(row.Values[:2], want[i].Values) {
			t.Errorf("row %d is %+v, origin %v, %v; want the values %q and the origin %v", i, row, got, err, want[i].Values, places[i])
		}
	}
}

func TestChunkKeepsTheMeta(t *testing.T) {
	t.Parallel()
	rows := []audience.Row{
		{Line: 2, Address: ann, Values: []string{"Ann"}, Meta: &audience.Meta{Origin: &audience.Origin{Part: 255, Index: 1<<32 - 1}}},
		{Line: 3, Address: bob, Values: []string{"Bob"}},
		{Line: 4, Address: ann, Values: []string{""}, Meta: &audience.Meta{Origin: &audience.Origin{}}},
	}
	if diff := cmp.Diff(rows, decoded(t, audience.EncodeChunk(nil, rows))); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}

	for i, want := range []audience.Origin{{Part: 255, Index: 1<<32 - 1}, {}, {}} {
		if got, err := rows[i].Origin(1); got != want || (err != nil) != (i == 1) {
			t.Errorf("row %d: origin %v, %v; want %v", i, got, err, want)
		}
	}
}

// Rows without a Meta are written as version 1: byte for byte what the code before
// wrote, so that workers of both versions read them.
func TestRowsWithoutMetaTakeNoMoreRoom(t *testing.T) {
	t.Parallel()
	rows := []audience.Row{
		{Line: 2, Address: ann, Values: []string{"ann@x.example", "Ann"}, Meta: &audience.Meta{}},
		{Line: 3, Address: bob, Values: []string{"bob@y.example", ""}},
	}
	if diff := cmp.Diff(chunkFile(t, "version1.chunk"), audience.EncodeChunk(nil, rows)); diff != "" {
		t.Errorf("chunk (-want +got):\n%s", diff)
	}
}

func TestOriginInAColumn(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", ":", "3", "3:", ":17", "256:0", "-1:0", "0:-1", "0:4294967296", "1:2:3", "a:b"} {
		row := audience.Row{Values: []string{"Ann", bad}}
		if got, err := row.Origin(1); err == nil || !strings.Contains(err.Error(), "expected part:index") {
			t.Errorf("%q: got %v, %v; want an error", bad, got, err)
		}
	}
}
