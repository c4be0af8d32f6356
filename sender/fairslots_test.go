package sender

import "testing"

// Lanes without a rate of their own leave slots of the account to those that have one and
// have work: a call takes what there is for a quarter of a second.
func TestFairShare(t *testing.T) {
	t.Parallel()
	r := &run{}
	all, gmail, yahoo := paceKey{run: r}, paceKey{r, "gmail"}, paceKey{r, "yahoo"}
	for _, tt := range []struct {
		name                 string
		rate                 float64
		gmailSize, yahooSize int
		key                  paceKey
		want                 int
	}{
		{"alone", 200, 0, 0, all, maxSlots},
		{"with one other", 200, 1, 0, all, 25},
		{"with two others", 200, 1, 1, all, 16},
		{"of a slow account", 1, 1, 1, all, 1},
		{"of an account without a rate", 0, 1, 1, all, maxSlots},
		{"a lane with a rate", 200, 1, 1, gmail, maxSlots},
	} {
		a := &account{
			cfg:   AccountConfig{Rate: tt.rate},
			lanes: lanes{byName: map[string]*lane{"gmail": {size: tt.gmailSize}, "yahoo": {size: tt.yahooSize}}},
			paces: map[paceKey]*pace{all: {}, gmail: {}, yahoo: {}},
		}
		if got, _ := a.fairShare(tt.key); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}
