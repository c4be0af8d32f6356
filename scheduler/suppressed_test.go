package scheduler

import (
	"fmt"
	"io"
	"testing"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/internal/testkit"

	"github.com/redis/go-redis/v9"
)

// An expansion leaves out those that Check calls suppressed: by their address and by
// their domain, in any spelling, for the topic and for everything.
func TestExpansionAgreesWithTheSuppressionList(t *testing.T) {
	t.Parallel()
	opts, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	s := suppression.New(rdb, "bs", redis.NewScript)

	var all []address.Address
	var texts []string
	for i := range 2500 { // several chunks
		a, err := address.Parse(fmt.Sprintf("Reader%d@d%d.example", i, i%10))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
		texts = append(texts, a.String())
	}
	plan := func() int64 {
		t.Helper()
		n := 0
		rows := audience.FromRows("test", []string{"email"}, func(row *audience.Row) error {
			if n == len(all) {
				return io.EOF
			}
			n++
			row.Line = n
			row.Address = all[n-1]
			row.Values = append(row.Values[:0], all[n-1].String())
			return nil
		})
		p, err := Expand(t.Context(), rows, Selection{Topic: "news"}, s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Suppressed
	}

	for _, step := range []struct {
		name string
		do   func() error
		want int64
	}{
		{"nobody", func() error { return nil }, 0},
		{"a domain", func() error { _, err := s.Add(t.Context(), suppression.Entry{Domain: "D3.example"}); return err }, 250},
		{"an address in it", func() error {
			_, err := s.Add(t.Context(), suppression.Entry{Address: "reader3@d3.example"})
			return err
		}, 250},
		{"a domain for another topic", func() error {
			_, err := s.Add(t.Context(), suppression.Entry{Domain: "d4.example", Scope: suppression.Topic("offers")})
			return err
		}, 250},
		{"the same for the topic", func() error {
			_, err := s.Add(t.Context(), suppression.Entry{Domain: "d4.example", Scope: suppression.Topic("news")})
			return err
		}, 500},
		{"without the first", func() error { _, err := s.Rm(t.Context(), "*@d3.example"); return err }, 251},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := plan(); got != step.want {
			t.Errorf("%s: the plan leaves out %d, want %d", step.name, got, step.want)
		}

		results, err := s.Check(t.Context(), texts...)
		if err != nil {
			t.Fatal(err)
		}
		checked := map[string]bool{}
		for _, r := range results {
			if r.Suppressed && r.Entry.Scope != suppression.Topic("offers") {
				checked[r.Address] = true
			}
		}
		if int64(len(checked)) != step.want {
			t.Errorf("%s: Check knows %d, want %d", step.name, len(checked), step.want)
		}
	}
}
