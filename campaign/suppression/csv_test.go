package suppression_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"broadside/campaign/suppression"
	"broadside/internal/testkit"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// sha256 of hashed@example.com
var hashed = fmt.Sprintf("%x", sha256.Sum256([]byte("hashed@example.com")))

func TestImport(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		add(t, s, 1, suppression.Entry{Address: "there@example.com", Reason: "bounce"})
		file := "\ufeffReason,address , SHA256,scope,note,expires,at\r\n" +
			"spam,One@Example.com,,,x,,2026-01-02\r\n" +
			",there@example.com,,,x,,\r\n" +
			"a,,,,x,,\r\n" +
			"a,no-at,,,x,,\r\n" +
			",," + strings.ToUpper(hashed) + ",topic:news,\"two\nlines\",2999-01-01T00:00:00Z,\r\n" +
			",,abc,,x,,\r\n" +
			"a,b@example.com,,news,x,,\r\n" +
			"a,c@example.com\r\n" +
			"a,d@example.com,,,x,2001-01-01,\r\n" +
			"a,e@example.com,,,x,tomorrow,\r\n" +
			"again,one@example.com,,all,x,,\r\n"
		got, err := s.Import(t.Context(), iotest.OneByteReader(strings.NewReader(file)), "list.csv")
		if err != nil {
			t.Fatalf("Import: %v", err)
		}
		want := suppression.Imported{Rows: 11, Added: 2, Known: 2, Ignored: []string{"note"}, Rejects: []suppression.Reject{
			{Line: 4, Reason: "neither an address nor a hash of one", Value: "a,,,,x,,"},
			{Line: 5, Reason: "no @", Value: "a,no-at,,,x,,"},
			{Line: 8, Reason: "sha256 is not 64 hexadecimal digits", Value: ",,abc,,x,,"},
			{Line: 9, Reason: `scope "news", expected "all" or "topic:NAME"`, Value: "a,b@example.com,,news,x,,"},
			{Line: 10, Reason: "2 columns, expected 7", Value: "a,c@example.com"},
			{Line: 11, Reason: "expires lies in the past", Value: "a,d@example.com,,,x,2001-01-01,"},
			{Line: 12, Reason: `expires: "tomorrow" is not a time like 2026-10-01T09:00:00Z`, Value: "a,e@example.com,,,x,tomorrow,"},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("imported (-want +got):\n%s", diff)
		}

		results, err := s.Check(t.Context(), "one@example.com", "hashed@example.com", "there@example.com")
		if err != nil {
			t.Fatalf("Check: %v", err)
		}
		var entries []suppression.Entry
		for _, r := range results {
			r.Entry.Hash = [32]byte{}
			entries = append(entries, r.Entry)
		}
		entries[1].At, entries[2].At = time.Time{}, time.Time{} // the time of the import
		if diff := cmp.Diff([]suppression.Entry{
			{Address: "one@example.com", Reason: "spam", Scope: "all", Source: "import", At: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)},
			{Address: "hashed@example.com", Reason: "imported", Scope: "topic:news", Source: "import", Expires: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)},
			{Address: "there@example.com", Reason: "bounce", Scope: "all"},
		}, entries); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}

func TestImportRefusesFiles(t *testing.T) {
	t.Parallel()
	s := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
	for _, tt := range []struct {
		name, file, want string
	}{
		{"empty", "", "list.csv:1: the file is empty, expected a header with address or sha256"},
		{"no header", "a@example.com\nb@example.com\n", `list.csv:1: found the columns ["a@example.com"], expected a header with address or sha256`},
		{"other columns", "email,name\na@example.com,A\n", `list.csv:1: found the columns ["email" "name"]`},
		{"doubled column", "address,Address\n", `list.csv:1: column "address" stands twice in the header`},
		{"open quote", "address,reason\na@example.com,x\nb@example.com,\"open\nc@example.com,x\n", "list.csv:3: not CSV ("},
		{"nul", "address\na@example.com\n\x00\n", "list.csv:3: found a NUL byte"},
		{"utf-16", "a\x00d\x00d\x00r\x00", "list.csv:1: found a NUL byte"},
		{"long line", "address\n" + strings.Repeat("x", 1<<20+1) + "\n", "list.csv:2: the line is longer than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Import(t.Context(), strings.NewReader(tt.file), "list.csv")
			var bad *suppression.FileError
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Import: got %v, want a FileError %q", err, tt.want)
			}
		})
	}
	t.Run("read error", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("disk gone")
		if _, err := s.Import(t.Context(), iotest.ErrReader(broken), "list.csv"); !errors.Is(err, broken) {
			t.Errorf("Import: got %v, want %v", err, broken)
		}
	})
}

func TestImportDelimiters(t *testing.T) {
	t.Parallel()
	s := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
	for i, d := range []string{",", ";", "\t"} {
		file := strings.ReplaceAll(fmt.Sprintf("reason|address\nx|a%d@example.com\n", i), "|", d)
		got, err := s.Import(t.Context(), strings.NewReader(file), "f")
		if err != nil || got.Added != 1 {
			t.Errorf("delimiter %q: got %+v, %v, want one added", d, got, err)
		}
	}
}

// What one store exports, another imports, and exports in the same words.
func TestExportRoundTrip(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		entries := []suppression.Entry{
			{Hash: sha256.Sum256([]byte("hashed@example.com")), Reason: "imported", Scope: "topic:news", Source: "import", At: at},
			{Address: "q@example.com", Reason: `550 5.1.1 "no, such" user`, Source: "smtp", Run: "r-1", At: at, Expires: at.AddDate(900, 0, 0)},
		}
		for i := range 3000 {
			entries = append(entries, suppression.Entry{Address: fmt.Sprintf("r%d@example.com", i), Reason: "bounce", Source: "smtp", At: at})
		}
		add(t, s, len(entries), entries...)
		first := export(t, s, len(entries))

		other := suppression.New(rdb, "other", withoutFlags)
		got, err := other.Import(t.Context(), strings.NewReader(first), "export.csv")
		if err != nil || got.Added != len(entries) || len(got.Rejects) != 0 {
			t.Fatalf("Import: got %d added, %d rejects, %v", got.Added, len(got.Rejects), err)
		}
		if diff := cmp.Diff(sorted(first), sorted(export(t, other, len(entries)))); diff != "" {
			t.Errorf("exported again (-want +got):\n%s", diff)
		}
		for _, line := range []string{
			"address,sha256,reason,scope,source,run,at,expires",
			"," + hashed + ",imported,topic:news,import,,2026-10-01T07:00:00.123Z,",
		} {
			if !slices.Contains(sorted(first), line) {
				t.Errorf("the export lacks the line %q", line)
			}
		}

		st, err := s.Stats(t.Context())
		if err != nil {
			t.Fatalf("Stats: %v", err)
		}
		if diff := cmp.Diff(suppression.Stats{
			Total: 3002, Hashed: 1,
			Reasons: map[string]int{"bounce": 3000, "imported": 1, `550 5.1.1 "no, such" user`: 1},
			Scopes:  map[string]int{"all": 3001, "topic:news": 1},
			Sources: map[string]int{"smtp": 3001, "import": 1},
		}, st); diff != "" {
			t.Errorf("stats (-want +got):\n%s", diff)
		}
	})
}

// While others write, the export still has whatever was there before.
func TestExportWhileOthersWrite(t *testing.T) {
	t.Parallel()
	s := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
	var before []suppression.Entry
	for i := range 5000 {
		before = append(before, suppression.Entry{Address: fmt.Sprintf("before%d@example.com", i), At: at})
	}
	add(t, s, len(before), before...)

	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { // makes the hash tables grow and rehash
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			var more []suppression.Entry
			for j := range 500 {
				more = append(more, suppression.Entry{Address: fmt.Sprintf("more%d-%d@example.com", i, j)})
			}
			if _, err := s.Add(t.Context(), more...); err != nil {
				done <- err
				return
			}
		}
	}()
	var lines []string
	for range 3 {
		var out bytes.Buffer
		if _, err := s.Export(t.Context(), &out); err != nil {
			t.Fatalf("Export: %v", err)
		}
		lines = sorted(out.String())
		count := 0
		for _, l := range lines {
			if strings.HasPrefix(l, "before") {
				count++
			}
		}
		if count != len(before) {
			t.Errorf("the export has %d of the %d entries that were there before it, each once", count, len(before))
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("Add: %v", err)
	}
}

func export(t *testing.T, s *suppression.Store, want int) string {
	t.Helper()
	var out bytes.Buffer
	n, err := s.Export(t.Context(), &out)
	if err != nil || n != want {
		t.Fatalf("Export: got %d, %v, want %d", n, err, want)
	}
	return out.String()
}

func sorted(csv string) []string {
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	slices.Sort(lines)
	return lines
}

func BenchmarkImport(b *testing.B) {
	rdb := client(b, testkit.Redis(b))
	s := suppression.New(rdb, "bs", redis.NewScript)
	var file bytes.Buffer
	file.WriteString("address,reason\n")
	const rows = 100_000
	for i := range rows {
		fmt.Fprintf(&file, "reader.number%d@example.com,bounce\n", i)
	}
	for b.Loop() {
		if err := rdb.FlushAll(b.Context()).Err(); err != nil {
			b.Fatalf("FLUSHALL: %v", err)
		}
		got, err := s.Import(b.Context(), bytes.NewReader(file.Bytes()), "f")
		if err != nil || got.Added != rows {
			b.Fatalf("Import: got %+v, %v", got, err)
		}
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkSuppressed(b *testing.B) {
	s := suppression.New(client(b, testkit.Redis(b)), "bs", redis.NewScript)
	keys := make([]suppression.Key, 1000)
	for i := range keys {
		keys[i] = suppression.KeyOf(fmt.Sprintf("r%d@example.com", i))
	}
	for b.Loop() {
		if _, err := s.Suppressed(b.Context(), "news", keys); err != nil {
			b.Fatalf("Suppressed: %v", err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(keys))/b.Elapsed().Seconds(), "looks/s")
}
