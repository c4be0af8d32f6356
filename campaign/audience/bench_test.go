package audience_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"broadside/campaign/audience"
	"broadside/internal/testkit"

	"github.com/redis/go-redis/v9"
)

// people makes a CSV as it is usual: address, first name, city.
func people(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[rnd.IntN(len(s))] }
	var b bytes.Buffer
	b.WriteString("email,first_name,city\n")
	for i := range n {
		first := pick("Ann", "Bob", "Chloé", "Dieter", "Eva", "Friedrich", "Grace", "Hans", "Inès", "Jürgen", "Katarzyna", "Liam")
		last := pick("smith", "mueller", "garcia", "rossi", "novak", "jones", "dubois", "jensen")
		fmt.Fprintf(&b, "%c.%s%d@%s,%s,%s\n", 'a'+rune(rnd.IntN(26)), last, i*7919%1_000_003,
			pick("gmail.com", "gmail.com", "gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "gmx.de", "web.de", fmt.Sprintf("company%d.example", rnd.IntN(5000))),
			first, pick("Berlin", "Paris", "New York", "München", "London", "Praha", "Wien"))
	}

	return b.Bytes()
}

// expand does to a source what a run does to its audience, without the store.
func expand(tb testing.TB, r *audience.Reader, keep func(chunk []byte)) int {
	tb.Helper()
	var seen audience.Seen
	rows := make([]audience.Row, audience.ChunkSize)
	n := 0
	total := 0
	var chunk []byte
	for {
		err := r.Next(&rows[n])
		if err == io.EOF {
			break
		}

		if _, ok := err.(*audience.Reject); ok {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		if !seen.Add(rows[n].Address.Hash()) {
			continue
		}
		n++
		if n == len(rows) {
			chunk = audience.EncodeChunk(chunk[:0], rows)
			keep(chunk)
			total += n
			n = 0
		}
	}

	if n > 0 {
		chunk = audience.EncodeChunk(chunk[:0], rows[:n])
		keep(chunk)
	}

	return total + n
}

func BenchmarkImport(b *testing.B) {
	const n = 100_000
	file := people(n)
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = 0
		r, err := audience.Open(b.Context(), audience.Source{Path: "-", Reader: bytes.NewReader(file)}, audience.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if got := expand(b, r, func(c []byte) { size += len(c) }); got != n {
			b.Fatalf("%d rows, want %d", got, n)
		}
		r.Close()
	}

	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(size)/n, "B/row")
}

func BenchmarkDecodeChunk(b *testing.B) {
	var chunks [][]byte
	r, err := audience.Open(b.Context(), audience.Source{Path: "-", Reader: bytes.NewReader(people(10_000))}, audience.Options{})
	if err != nil {
		b.Fatal(err)
	}

	expand(b, r, func(c []byte) { chunks = append(chunks, bytes.Clone(c)) })
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := audience.DecodeChunk(chunks[i%len(chunks)]); err != nil {
			b.Fatal(err)
		}
		i++
	}

	b.ReportMetric(float64(audience.ChunkSize*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkListImport(b *testing.B) {
	const n = 100_000
	file := people(n)
	opts, err := redis.ParseURL(testkit.Redis(b))
	if err != nil {
		b.Fatal(err)
	}

	rdb := redis.NewClient(opts)
	defer rdb.Close()
	lists := audience.NewLists(rdb, "bench")
	for b.Loop() {
		r, err := audience.Open(b.Context(), audience.Source{Path: "-", Reader: bytes.NewReader(file)}, audience.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if sum, err := lists.Import(b.Context(), "people", r, audience.ImportOptions{}); err != nil || sum.Total != n {
			b.Fatalf("%+v, %v", sum, err)
		}
	}

	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkSeen(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		var seen audience.Seen
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var h [32]byte
		rnd := rand.New(rand.NewPCG(1, 2))
		for range n {
			for i := range 4 {
				v := rnd.Uint64()
				for j := range 8 {
					h[i*8+j] = byte(v >> (8 * j))
				}
			}
			seen.Add(h)
		}

		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/address")
		runtime.KeepAlive(&seen)
	}
}
