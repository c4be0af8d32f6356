package configs_test

import (
	"math"
	"testing"
	"time"

	"broadside/configs"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "30d": 30 * day, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute,
		"0": 0, "0s": 0, "0d": 0, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond, "36500d": 36500 * day,
	} {
		if got, err := configs.ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "-1s", "-1d", "1d-1h", "1.5d", "36500d1s", "36501d", "99999d", "1000000d", "2562048h", "1w", "1 d", "abc", "1d2d"} {
		if got, err := configs.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "25s": 25 * time.Second, "30d": 720 * time.Hour, "1d1h": 25 * time.Hour, "1h30m": 90 * time.Minute,
		"1m1.5s": 61500 * time.Millisecond, "500ms": 500 * time.Millisecond,
	} {
		got := configs.FormatDuration(d)
		if got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
		if back, err := configs.ParseDuration(got); err != nil || back != d {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", got, back, err, d)
		}
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"50/s": 50, "30/min": 0.5, "1000/h": 1000.0 / 3600, "0.5/s": 0.5, "86400/d": 1, "14 / s": 14, "1000000/s": 1e6,
	} {
		got, err := configs.ParseRate(text)
		if err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("ParseRate(%q) = %v, %v, want %v", text, got, err, want)
		}
		if back, err := configs.ParseRate(configs.FormatRate(got)); err != nil || math.Abs(back-got) > 1e-6*got {
			t.Errorf("FormatRate(%v) = %q, which is %v, %v", got, configs.FormatRate(got), back, err)
		}
	}
	for _, text := range []string{"", "50", "0/s", "-1/s", "inf/s", "NaN/s", "1e3/s", "0x10/s", "50/w", "1000001/s", "/s", "50/", "50/ms"} {
		if got, err := configs.ParseRate(text); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatRate(t *testing.T) {
	t.Parallel()
	for want, rate := range map[string]float64{"none": 0, "14/s": 14, "30/min": 0.5, "1000/h": 1000.0 / 3600, "150/min": 2.5} {
		if got := configs.FormatRate(rate); got != want {
			t.Errorf("FormatRate(%v) = %q, want %q", rate, got, want)
		}
	}
}

func TestParseRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int64{"9000-11000": {9000, 11000}, "5-5": {5, 5}, "0 - 10": {0, 10}} {
		low, high, err := configs.ParseRange(text)
		if err != nil || low != want[0] || high != want[1] {
			t.Errorf("ParseRange(%q) = %d, %d, %v, want %v", text, low, high, err, want)
		}
	}
	for _, text := range []string{"", "5", "-5", "5-", "6-5", "0-0", "a-b", "1-2-3", "99999999999999999999-1"} {
		if low, high, err := configs.ParseRange(text); err == nil {
			t.Errorf("ParseRange(%q) = %d, %d, want an error", text, low, high)
		}
	}
}

func TestParsePercent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"5%": 0.05, "0.1 %": 0.001, "100%": 1, "0%": 0} {
		if got, err := configs.ParsePercent(text); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("ParsePercent(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "-5%", "101%", "100.1%", "%", "five%"} {
		if got, err := configs.ParsePercent(text); err == nil {
			t.Errorf("ParsePercent(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatPercentReadsBack(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"5%", "0.1%", "100%", "33.3%", "0.000001%", "7%", "29%"} {
		if v, err := configs.ParsePercent(text); err != nil || configs.FormatPercent(v) != text {
			t.Errorf("%s comes back as %s (%v)", text, configs.FormatPercent(v), err)
		}
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"namespace", "listen", "tls", "port", "max_attempts", "reply_to"}
	for word, want := range map[string]string{
		"namespce": "namespace", "nmaespace": "namespace", "Listen": "listen", "lsiten": "listen", "reply-to": "reply_to", "replyto": "reply_to",
		"tsl": "tls", "prot": "port", "xyz": "", "t": "", "maxattempts": "max_attempts", "": "", "completely_different": "",
	} {
		if got := configs.Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestMatchAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, address string
		want             bool
	}{
		{"*@acme.example", "Jo@ACME.example", true},
		{"*@acme.example", "jo@acme.example.evil", false},
		{"*@acme.example", "jo@notacme.example", false},
		{"*@*.acme.example", "jo@x.acme.example", true},
		{"*@*.acme.example", "jo@acme.example", false},
		{"jo@acme.example", "jo@acme.example", true},
		{"jo@acme.example", "joe@acme.example", false},
		{"jo+*@acme.example", "jo+test@acme.example", true},
		{"a*a@acme.example", "a@acme.example", false},
		{"a*b*c@acme.example", "aXbYc@acme.example", true},
		{"a*b*c@acme.example", "acb@acme.example", false},
		{"*@acme.example", "no address", false},
	} {
		if got := configs.MatchAddress([]string{"other@x.example", tt.pattern}, tt.address); got != tt.want {
			t.Errorf("MatchAddress(%q, %q) = %v, want %v", tt.pattern, tt.address, got, tt.want)
		}
	}
	if configs.MatchAddress(nil, "a@b.example") {
		t.Error("an address matches without patterns")
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"127.0.0.1.example": false, "localhost.example": false, "10.0.0.1": false, "0.0.0.0": false, "": false, "::2": false,
	} {
		if got := (configs.Account{Host: host}).Loopback(); got != want {
			t.Errorf("Loopback of %q = %v, want %v", host, got, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 6_320_000: "6.3 MB", 999_949: "999.9 kB", 999_950: "1.0 MB", 25_276_026_880: "25.3 GB", 3e15: "3000.0 TB",
	} {
		if got := configs.FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", n, got, want)
		}
	}
}
