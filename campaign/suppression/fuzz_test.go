package suppression

import (
	"strings"
	"testing"
	"time"

	"broadside/campaign/audience"

	"github.com/google/go-cmp/cmp"
)

// What is read of a file and stored reads back as the same entry.
func FuzzImport(f *testing.F) {
	now := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	for _, s := range []string{
		"address\na@example.com\n",
		"\ufeffaddress;reason\r\nA@example.com;\"x\"\"y\nz\"\r\n",
		"sha256,scope,expires\n" + strings.Repeat("0a", 32) + ",topic:news,2030-01-01\n",
		"address,at,run,source\n#a@example.com,2026-01-01T00:00:00+02:00,r\t1,\xff\n",
		"address\n\"open", "address\n\x00", "", "\n\n", "address,address\n",
	} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		rows, err := audience.OpenAddresses(t.Context(), audience.Source{Path: "-", Reader: strings.NewReader(s)}, audience.Options{})
		if err != nil {
			return
		}
		defer rows.Close()
		im := &importer{now: now}
		var row audience.AddressRow
		for rows.Next(&row) == nil {
			for _, e := range im.read(&row) {
				checkStored(t, e, now)
			}
		}

		for _, r := range im.result.Rejects {
			if r.Line < 1 || r.Reason == "" || r.Value == "" {
				t.Fatalf("reject without a place, a reason or a value: %+v", r)
			}
		}
	})
}

func checkStored(t *testing.T, e Entry, now time.Time) {
	t.Helper()
	value := e.encode()
	if !live(value, now) {
		t.Fatalf("%+v was stored as expired: %q", e, value)
	}

	got, err := decode(field(e.key(), e.topic()), value)
	if err != nil {
		t.Fatalf("decode %q: %v", value, err)
	}

	e.At = milli(e.At)
	e.Expires = milli(e.Expires)
	if diff := cmp.Diff(e, got); diff != "" {
		t.Fatalf("stored as %q (-want +got):\n%s", value, diff)
	}
}

func milli(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// A stored value may come from a later version or a broken hand: reading it
// never panics.
func FuzzDecode(f *testing.F) {
	f.Add(strings.Repeat("k", 16), "0\t1\tr\ts\trun\ta@example.com")
	f.Add(strings.Repeat("k", 16)+"news", "5\t1\t\t\t\t:"+strings.Repeat("00", 16)+"\tmore")
	f.Add("short", "")
	f.Add(strings.Repeat("k", 16), "0\tb\xb4\x8f\xb2\x8d\x93\xfbia@example.com")
	f.Add(strings.Repeat("k", 16), "0\tB\xb4\x8f\xb2\x8d\x93\xfbi\x00\x00\x0f")
	f.Add(strings.Repeat("k", 16), "0\t\xb1\x31\x97\xa9\xb8\xfbab\x00\x00\x0f")
	f.Add(strings.Repeat("k", 16), "5\t.\xb4\x8f\xb2\x8d\x93\xfb.:"+strings.Repeat("A", 22)+"\trun\treason\tsource\tmore")
	f.Fuzz(func(t *testing.T, field, value string) {
		live(value, time.Now())
		e, err := decode(field, value)
		if err == nil && e.Scope == "" {
			t.Fatalf("decode %q: no scope", value)
		}
	})
}

// The notes of a lane are read as loosely: one that is none is left out.
func FuzzNote(f *testing.F) {
	f.Add(note{1_700_000_000_000, Recipient{"news-1", 1, 7}, strings.Repeat("\t", 16) + "news"}.text())
	f.Add("no\tnote")
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := parseNote(text)
		if !ok {
			return
		}
		if shard := n.shard(); shard < 0 || shard >= shards {
			t.Fatalf("note %q is of shard %d", text, shard)
		}
		if again, ok := parseNote(n.text()); !ok || again != n {
			t.Fatalf("note %q became %+v", text, again)
		}
	})
}
