package campaign_test

import (
	"encoding/json"
	"testing"

	"broadside/campaign"
)

// TestSnapshotWithoutWeights reads what runs of older versions stored, and writes what
// their workers can read.
func TestSnapshotWithoutWeights(t *testing.T) {
	t.Parallel()
	var s campaign.Snapshot
	if err := json.Unmarshal([]byte(`{"accounts":["a","b"]}`), &s); err != nil {
		t.Fatal(err)
	}
	if a, b := s.Weights.Of("a"), s.Weights.Of("b"); a != 1 || b != 1 {
		t.Errorf("got weights %d and %d, want 1 each", a, b)
	}

	s.Weights = campaign.Weights{"b": 0}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var old struct {
		Accounts []string `json:"accounts"`
	}
	if err := json.Unmarshal(text, &old); err != nil || len(old.Accounts) != 2 {
		t.Errorf("an older worker reads %v, %v", old.Accounts, err)
	}

	var again campaign.Snapshot
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if a, b := again.Weights.Of("a"), again.Weights.Of("b"); a != 1 || b != 0 {
		t.Errorf("got weights %d and %d, want 1 and 0", a, b)
	}
}
