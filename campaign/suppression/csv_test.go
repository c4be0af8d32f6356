package suppression_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"broadside/campaign/audience"
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
			",," + strings.ToUpper(hashed) + ",topic:news,\"two lines\",2999-01-01T00:00:00Z,\r\n" +
			",,abc,,x,,\r\n" +
			"a,b@example.com,,news,x,,\r\n" +
			"a,c@example.com\r\n" +
			"a,d@example.com,,,x,2001-01-01,\r\n" +
			"a,e@example.com,,,x,tomorrow,\r\n" +
			"again,one@example.com,,all,x,,\r\n"
		got, err := s.Import(t.Context(), open(t, iotest.OneByteReader(strings.NewReader(file))))
		if err != nil {
			t.Fatalf("Import: %v", err)
		}

		want := suppression.Imported{
			Rows: 11, Added: 5, Known: 2, Expired: 1, Ignored: []string{"note"},
			Rejects: []suppression.Reject{
				{Line: 4, Reason: "no address in the row, and no SHA-256 of one", Value: `"a,,,,x,,"`},
				{Line: 5, Reason: "no address in the row, and no SHA-256 of one", Value: `"a,no-at,,,x,,"`},
				{Line: 7, Reason: "no address in the row, and no SHA-256 of one", Value: `",,abc,,x,,"`},
			},
			Notes: []suppression.Reject{
				{Line: 8, Reason: `scope "news", expected "all" or "topic:NAME": suppressed for everything`, Value: `"a,b@example.com,,news,x,,"`},
				{Line: 11, Reason: `expires: "tomorrow" is not a time like 2026-10-01T09:00:00Z: suppressed for ever`, Value: `"a,e@example.com,,,x,tomorrow,"`},
			},
		}
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

// open reads a file of suppressions.
func open(t testing.TB, r io.Reader) *audience.AddressReader {
	t.Helper()
	rows, err := audience.OpenAddresses(t.Context(), audience.Source{Path: "-", Reader: r}, audience.Options{File: "list.csv"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	return rows
}

// Pasted and damaged rows keep their people from being mailed all the same.
func TestImportTakesAddressesWhereverTheyAre(t *testing.T) {
	t.Parallel()
	s := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	for i, tt := range []struct {
		name, file string // @x. becomes a domain of the case
		suppressed []string
		not        []string
		rejects    int
		notes      int
	}{
		{"zero-width, names and brackets", "address\nann@x.\u200b\n\u200bbob@x.\nCat <cat@x.>\n<dan@x.>\n", []string{"ann@x.", "bob@x.", "cat@x.", "dan@x."}, nil, 0, 0},
		{"no header", "ann@x.\nbob@x.\n", []string{"ann@x.", "bob@x."}, nil, 0, 0},
		{"header of an audience", "E-Mail;Name\nann@x.;Ann\n", []string{"ann@x."}, nil, 0, 0},
		{"any header", "who,when\nann@x.,today\n", []string{"ann@x."}, nil, 0, 0},
		{"too many and too few columns", "address,reason\nann@x.\nbob@x.,left,x,y\n", []string{"ann@x.", "bob@x."}, nil, 0, 0},
		{"wrong quote", "address,reason\nann@x.,5\" disk\nbob@x.,\"a\"b\n", []string{"ann@x.", "bob@x."}, nil, 0, 0},
		{"a quote that swallows rows", "address,sha256,scope\nann@x.,,\"topic:x\n," + sum("bob@case%d.example") + ",\ncat@x.,,\"\n", []string{"ann@x.", "bob@x.", "cat@x."}, nil, 0, 0},
		{"several in a cell", "address\n\"ann@x., bob@x.\"\n", []string{"ann@x.", "bob@x."}, nil, 0, 0},
		{"none in a row, the others are added", "address\nann@x.\nbob\ncat@x.\n", []string{"ann@x.", "cat@x."}, nil, 1, 0},
		{"JSON lines", "{\"email\":\"Ann <ann@x.>\",\"reason\":\"left\"}\n", []string{"ann@x."}, nil, 0, 0},
		{"hash of capitals beside an address", "address,sha256\nAnn@x.," + sum("Ann@case%d.example") + "\n", []string{"ann@x."}, nil, 0, 0},
		{"hash beside an address in another column", "who,sha256\nANN@x.," + sum("ANN@case%d.example") + "\n", []string{"ann@x."}, nil, 0, 0},
		{"hash of letters of an international domain", "address,sha256\nann@bücher.example," + sum("ann@bücher.example") + "\n", []string{"ann@xn--bcher-kva.example"}, nil, 0, 0},
		{"hash of somebody else", "address,sha256\nann@x.," + sum("bob@case%d.example") + "\n", []string{"ann@x.", "bob@x."}, nil, 0, 1},
		{"an address in the reason of a hash", "address,sha256,source\n," + sum("ann@case%d.example") + ",ops@x.\n", []string{"ann@x."}, []string{"ops@x."}, 0, 0},
		{"hash without a header", sum("ann@case%d.example") + "\nbob@x.\n", []string{"bob@x."}, nil, 0, 0},
		{"a hash that is none", "address,sha256\nann@x.,zz\n", []string{"ann@x."}, nil, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			domain := fmt.Sprintf("@case%d.example", i)
			file := tt.file
			for _, text := range []string{"Ann", "ANN", "ann", "bob"} { // hashes of the case
				file = strings.ReplaceAll(file, sum(text+"@case%d.example"), sum(text+domain))
			}

			got, err := s.Import(t.Context(), open(t, strings.NewReader(strings.ReplaceAll(file, "@x.", domain))))
			if err != nil || len(got.Rejects) != tt.rejects || len(got.Notes) != tt.notes {
				t.Fatalf("Import: %+v, %v; want %d rejects, %d notes", got, err, tt.rejects, tt.notes)
			}

			for want, texts := range map[bool][]string{true: tt.suppressed, false: tt.not} {
				for _, text := range texts {
					text = strings.ReplaceAll(text, "@x.", domain)
					r, err := s.Check(t.Context(), text)
					if err != nil || r[0].Suppressed != want {
						t.Errorf("%s: %+v, %v; want suppressed %v", text, r, err, want)
					}
				}
			}
		})
	}
}

func TestImportRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	s := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
	for name, tt := range map[string]struct{ file, want string }{
		"open quote": {"address,reason\na@example.com,x\nb@example.com,\"open\nc@example.com,x\n", "list.csv:3: a quote that opens here is never closed"},
		"nul":        {"address\na@example.com\nbob\x00\n", "list.csv:3: NUL byte"},
		"long line":  {"address\n" + strings.Repeat("x", 1<<20+1) + "\n", "list.csv:2: a line of more than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Import(t.Context(), open(t, strings.NewReader(tt.file)))
			var bad *audience.FileError
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Import: got %v, want a FileError %q", err, tt.want)
			}
		})
	}

	t.Run("read error", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("disk gone")
		in := io.MultiReader(strings.NewReader("address\n"+strings.Repeat("x", 1<<18)+"\n"), iotest.ErrReader(broken))
		if _, err := s.Import(t.Context(), open(t, in)); !errors.Is(err, broken) {
			t.Errorf("Import: got %v, want %v", err, broken)
		}
	})
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
		got, err := other.Import(t.Context(), open(t, strings.NewReader(first)))
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

	stop := make(chan struct{})
	done := make(chan error, 1)
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
		if _, err := s.Export(t.Context(), &out, false); err != nil {
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
	n, err := s.Export(t.Context(), &out, false)
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

// BenchmarkImport imports a million addresses. B/entry is the memory of Redis.
func BenchmarkImport(b *testing.B) {
	rdb := client(b, testkit.Redis(b))
	s := suppression.New(rdb, "bs", redis.NewScript)
	var file bytes.Buffer
	file.WriteString("address,reason\n")
	const rows = 1_000_000
	for i := range rows {
		fmt.Fprintf(&file, "reader.number%d@example.com,bounce\n", i)
	}

	used := func() (n float64) {
		info, err := rdb.InfoMap(b.Context(), "memory").Result()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := fmt.Sscan(info["Memory"]["used_memory"], &n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	before := used()
	for b.Loop() {
		if err := rdb.FlushAll(b.Context()).Err(); err != nil {
			b.Fatalf("FLUSHALL: %v", err)
		}
		got, err := s.Import(b.Context(), open(b, bytes.NewReader(file.Bytes())))
		if err != nil || got.Added != rows {
			b.Fatalf("Import: got %+v, %v", got, err)
		}
	}

	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric((used()-before)/rows, "B/entry")
}

func BenchmarkSuppressed(b *testing.B) {
	s := suppression.New(client(b, testkit.Redis(b)), "bs", redis.NewScript)
	keys := make([]suppression.Person, 1000)
	for i := range keys {
		keys[i].Key = suppression.KeyOf(fmt.Sprintf("r%d@example.com", i))
	}

	for b.Loop() {
		if _, err := s.Suppressed(b.Context(), "news", keys); err != nil {
			b.Fatalf("Suppressed: %v", err)
		}
	}

	b.ReportMetric(float64(b.N)*float64(len(keys))/b.Elapsed().Seconds(), "looks/s")
}
