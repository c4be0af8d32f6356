package throttle

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEffectiveRates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ rates, want []float64 }{
		{nil, []float64{}},
		{[]float64{50}, []float64{49}},
		{[]float64{100, 50}, []float64{98 / 1.02, 49}}, // the delay is 20 ms at most
		{[]float64{1e6, 1e6}, []float64{98e4 / (1 + 2/0.98/1e6), 98e4 / 1.001}},
	} {
		got := Effective(tt.rates...)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.rates, diff)
		}
	}
}
