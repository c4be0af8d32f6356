package suppression

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"broadside/campaign/audience"

	"github.com/redis/go-redis/v9"
)

// BenchmarkImport imports a million rows of the most frequent kinds into an empty list,
// and tells how much memory of Redis it takes. Runs are references in either form, which
// older versions did not have:
//
//	go test ./campaign/suppression -run '^$' -bench Import -benchtime 1x
func BenchmarkImport(b *testing.B) {
	const rows = 1_000_000
	for _, kind := range []struct{ name, header, row string }{
		{"addresses", "email\n", "%s\n"},
		{"bounces", "address,reason\n", "%s,bounce\n"},
		{"unsubscribes by topic", "address,reason,scope\n", "%s,unsubscribe,topic:newsletter\n"},
		{"unsubscribes of a run", "address,reason,scope,source,run\n", "%s,unsubscribe,topic:newsletter,one-click,october-news-20261001T070000Z\n"},
	} {
		for form, encode := range map[string]func(Entry) string{"long": Entry.encodeLong, "short": Entry.encode} {
			b.Run(kind.name+"/"+form, func(b *testing.B) {
				var file strings.Builder
				file.WriteString(kind.header)
				for i := range rows {
					fmt.Fprintf(&file, kind.row, fmt.Sprintf("anna.k%07d@example%d.com", i, i%10))
				}
				for b.Loop() {
					s, rdb := realStore(b)
					s.encode = encode
					before := usedMemory(b, rdb)
					began := time.Now()
					in, err := audience.OpenAddresses(b.Context(), audience.Source{Path: "-", Reader: strings.NewReader(file.String())}, audience.Options{})
					if err != nil {
						b.Fatal(err)
					}
					got, err := s.Import(b.Context(), in)
					in.Close()
					if err != nil || got.Added != rows {
						b.Fatalf("%+v, %v", got, err)
					}
					b.ReportMetric(time.Since(began).Seconds(), "s/import")
					b.ReportMetric(float64(usedMemory(b, rdb)-before)/rows, "B/entry")
				}
			})
		}
	}
}

// usedMemory is the memory of Redis in bytes.
func usedMemory(b *testing.B, rdb *redis.Client) int {
	b.Helper()
	info, err := rdb.Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			n, err := strconv.Atoi(text)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("INFO memory has no used_memory")
	return 0
}
