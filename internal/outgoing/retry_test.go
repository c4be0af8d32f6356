package outgoing

import (
	"net/http"
	"testing"
	"time"
)

func TestTriesLastForADay(t *testing.T) {
	t.Parallel()
	var least, most, sum time.Duration
	tries := 0
	for {
		tries++
		d, more := pauseAfter(tries-1, 0)
		if !more {
			break
		}
		least += time.Duration(float64(pauses[tries-1]) * (1 - jitter))
		most += time.Duration(float64(pauses[tries-1]) * (1 + jitter))
		sum += d
	}
	if sum < least || sum > most || least < 20*time.Hour || most > 28*time.Hour {
		t.Errorf("%d tries within %s (%s to %s), want about a day", tries, sum, least, most)
	}
	if tries != 12 {
		t.Errorf("got %d tries, want the 12 of docs/webhooks-out.md", tries)
	}
}

func TestPausesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 50 {
		d, _ := pauseAfter(3, 0)
		if d < 54*time.Minute || d > 66*time.Minute {
			t.Errorf("got %s, want an hour, more or less a tenth", d)
		}
		seen[d] = true
	}
	if len(seen) < 10 {
		t.Errorf("got %d different pauses of 50", len(seen))
	}
}

func TestReceiversAskForLongerPausesWithinLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		asked       time.Duration
		least, most time.Duration
	}{
		{"longer", 30 * time.Minute, 30 * time.Minute, 30 * time.Minute},
		{"shorter", time.Second, 54 * time.Second, 66 * time.Second},
		{"a week", 7 * 24 * time.Hour, maxRetryAfter, maxRetryAfter},
	} {
		if d, more := pauseAfter(0, test.asked); !more || d < test.least || d > test.most {
			t.Errorf("%s: got %s, %v, want %s to %s", test.name, d, more, test.least, test.most)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		text string
		want time.Duration
	}{
		{"", 0},
		{"120", 2 * time.Minute},
		{" 120 ", 2 * time.Minute},
		{"0", 0},
		{"-5", 0},
		{"999999999999", maxRetryAfter},
		{"99999999999999999999999", 0},
		{"Thu, 01 Oct 2026 07:10:00 GMT", 10 * time.Minute},
		{"Thu, 01 Oct 2026 06:10:00 GMT", 0},
		{"Thu, 01 Oct 2099 06:10:00 GMT", maxRetryAfter},
		{"soon", 0},
	} {
		if got := retryAfter(http.Header{"Retry-After": {test.text}}, now); got != test.want {
			t.Errorf("%q: got %s, want %s", test.text, got, test.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Thu, 01 Oct 2026 07:10:00 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		got := retryAfter(http.Header{"Retry-After": {text}}, time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC))
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q: got %s", text, got)
		}
	})
}
