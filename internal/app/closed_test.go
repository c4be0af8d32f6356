package app

import (
	"testing"
	"time"

	"broadside/throttle"
)

// A run is held back only while every one of its accounts is closed, until the
// first of them opens. A state that cannot be read closes nothing, wherever it
// stands.
func TestAllClosedUntil(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Minute)
	later := soon.Add(time.Hour)
	damaged := throttle.State{Code: "BS-BROKEN-STATE"}
	for _, tt := range []struct {
		name     string
		states   map[string]throttle.State
		accounts []string
		want     time.Time
	}{
		{"none closed", nil, []string{"a"}, time.Time{}},
		{"one of two", map[string]throttle.State{"a": {Until: soon}}, []string{"a", "b"}, time.Time{}},
		{"both", map[string]throttle.State{"a": {Until: later}, "b": {Until: soon}}, []string{"a", "b"}, soon},
		{"damaged, then closed", map[string]throttle.State{"a": damaged, "b": {Until: soon}}, []string{"a", "b"}, time.Time{}},
		{"closed, then damaged", map[string]throttle.State{"a": {Until: soon}, "b": damaged}, []string{"a", "b"}, time.Time{}},
	} {
		if got := allClosedUntil(tt.states, tt.accounts); !got.Equal(tt.want) {
			t.Errorf("%s: until %s, want %s", tt.name, got, tt.want)
		}
	}
}
