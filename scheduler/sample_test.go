package scheduler

import (
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/suppression"
)

// people is an audience of so many rows.
type people struct {
	t       testing.TB
	n, size int
	values  [1]string
}

// Next fills row, whose values are used again.
func (p *people) Next(row *audience.Row) error {
	if p.n == p.size {
		return io.EOF
	}
	p.n++
	a, err := address.Parse(fmt.Sprintf("reader%d@example.org", p.n))
	if err != nil {
		p.t.Fatal(err)
	}
	p.values[0] = fmt.Sprint(p.n)
	*row = audience.Row{Line: p.n, Address: a, Values: p.values[:]}
	return nil
}

// drawFrom returns the numbers of the rows that are sent to, and the plan.
func drawFrom(t *testing.T, size int, sel Selection) ([]int64, Plan) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	defer rdb.Close()
	var numbers []int64
	sel.Each = func(n int64, row *audience.Row) {
		numbers = append(numbers, n)
		if row.Values[0] != fmt.Sprint(n) {
			t.Errorf("row %d has the values of row %s", n, row.Values[0])
		}
	}
	plan, err := Expand(t.Context(), &people{t: t, size: size}, sel, suppression.New(rdb, "bs", redis.NewScript), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Rows() != int64(size) || plan.Total != int64(len(numbers)) {
		t.Errorf("%d rows and %d recipients of %d rows, of which %d were kept", plan.Rows(), plan.Total, size, len(numbers))
	}
	return numbers, plan
}

func TestASampleOfANumberIsExact(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ size, number, want int }{{1000, 1, 1}, {1000, 100, 100}, {1000, 999, 999}, {1000, 1000, 1000}, {1000, 5000, 1000}} {
		got, plan := drawFrom(t, tt.size, Selection{Sample: campaign.SampleSize{Number: tt.number}, Seed: "run-1"})
		if len(got) != tt.want || plan.Skipped.Sampled != int64(tt.size-tt.want) || !slices.IsSorted(got) {
			t.Errorf("%d of %d: %d kept, %d left out, in order: %v", tt.number, tt.size, len(got), plan.Skipped.Sampled, slices.IsSorted(got))
		}
	}
}

func TestASampleIsThatOfItsRun(t *testing.T) {
	t.Parallel()
	for _, size := range []campaign.SampleSize{{Number: 100}, {Share: 0.1}} {
		one, _ := drawFrom(t, 1000, Selection{Sample: size, Seed: "run-1"})
		again, _ := drawFrom(t, 1000, Selection{Sample: size, Seed: "run-1"})
		other, _ := drawFrom(t, 1000, Selection{Sample: size, Seed: "run-2"})
		if !slices.Equal(one, again) || slices.Equal(one, other) {
			t.Errorf("%+v: the same for one run: %v; for another: %v", size, slices.Equal(one, again), slices.Equal(one, other))
		}
	}
}

func TestASampleOfAShareIsAboutThatLarge(t *testing.T) {
	t.Parallel()
	const size = 20_000
	for _, share := range []float64{0.001, 0.1, 0.5, 1} {
		got, plan := drawFrom(t, size, Selection{Sample: campaign.SampleSize{Share: share}, Seed: "run-1"})
		want := share * size
		if off := math.Abs(float64(len(got)) - want); off > 5*math.Sqrt(want*(1-share))+1e-9 || plan.Skipped.Sampled != int64(size-len(got)) {
			t.Errorf("%v of %d: %d", share, size, len(got))
		}
	}
}

func TestTheLimitIsOfTheSampleAndTheSampleOfWhoMatches(t *testing.T) {
	t.Parallel()
	even := func(_ string, values []string) (bool, error) { return (values[0][len(values[0])-1]-'0')%2 == 0, nil }
	got, plan := drawFrom(t, 1000, Selection{Where: even, Sample: campaign.SampleSize{Number: 100}, Limit: 10, Seed: "run-1"})
	want := campaign.Skipped{Filtered: 500, Sampled: 400, Limited: 90}
	if len(got) != 10 || plan.Skipped != want {
		t.Errorf("%d kept, skipped %+v, want 10 and %+v", len(got), plan.Skipped, want)
	}
	for _, n := range got {
		if n%2 != 0 {
			t.Errorf("row %d does not match", n)
		}
	}
}
