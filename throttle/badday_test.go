package throttle

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/lane-day.svg")

const (
	dayCeiling = 20.0 // messages a second
	dayFile    = "../docs/lane-day.svg"
)

// badDay is a day of a provider that takes less from 8:00 on, nothing for three
// quarters of an hour, and again all from 16:00 on.
func badDay(since time.Duration) (limit float64, signal Signal) {
	unusual := Signal{
		Code: "BS-LANE-SLOWED", Reason: "421 4.7.28 an unusual rate of mail from your address",
		Backoff: 10 * time.Minute, Factor: 2, MaxBackoff: 4 * time.Hour,
	}
	switch hour := since.Hours(); {
	case hour < 8:
		return math.Inf(1), Signal{}
	case hour < 10.5:
		return 8, unusual
	case hour < 11.25:
		return 0, Signal{Code: "BS-LANE-PAUSED", Reason: "421 4.7.0 temporarily deferred due to user complaints", Block: true}
	case hour < 16:
		return 4, unusual
	}
	return math.Inf(1), Signal{}
}

// A day with a provider that slows down, blocks and recovers: nearly all that it
// takes is sent, hardly anything is refused, and in the evening nothing is left of it.
func TestBadDay(t *testing.T) {
	t.Parallel()
	day := simulate(nil, dayCeiling, 24*time.Hour, time.Second, badDay)

	sent, refused, taken := 0.0, 0.0, 0.0
	for i, m := range day {
		limit, _ := badDay(time.Duration(i) * time.Second)
		sent += min(m.rate, limit)
		refused += max(m.rate-limit, 0)
		taken += min(limit, dayCeiling)
	}
	if last := day[len(day)-1]; last.state != LaneOpen || last.rate != dayCeiling {
		t.Errorf("at the end of the day: got %+v, want an open lane at %v/s", last, dayCeiling)
	}
	if sent < 0.9*taken || refused > 0.001*sent {
		t.Errorf("sent %.0f, refused %.0f of %.0f that the server would have taken, want 90 %% sent and 0.1 %% refused", sent, refused, taken)
	}
	t.Logf("sent %.0f, refused %.0f of %.0f that the server would have taken", sent, refused, taken)

	svg := drawDay(day)
	if *update {
		if err := os.WriteFile(dayFile, []byte(svg), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(dayFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(stored) != svg {
		t.Errorf("%s is not what the lane does now: run go test ./throttle -run TestBadDay -update", dayFile)
	}
}

// drawDay draws the rate over the day, and what the server takes.
func drawDay(day []moment) string {
	const left, right, top, bottom = 60.0, 700.0, 50.0, 300.0
	x := func(second int) float64 { return left + (right-left)*float64(second)/86400 }
	y := func(rate float64) float64 { return bottom - (bottom-top)*rate/(dayCeiling*1.1) }

	var b strings.Builder
	b.WriteString(dayHead)
	for rate := 0.0; rate <= dayCeiling; rate += 5 {
		fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>\n", left, right, y(rate), y(rate))
		fmt.Fprintf(&b, "<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", left-8, y(rate)+4.5, rate)
	}
	for hour := 0; hour <= 24; hour += 4 {
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%02d:00</text>\n", x(hour*3600), bottom+20, hour)
	}

	var takes, sends []string
	for i := 0; i < len(day); i += 60 {
		limit, _ := badDay(time.Duration(i) * time.Second)
		takes = append(takes, fmt.Sprintf("%.1f,%.1f", x(i), y(min(limit, dayCeiling))))
		sum := 0.0
		for _, m := range day[i : i+60] {
			sum += m.rate
		}
		sends = append(sends, fmt.Sprintf("%.1f,%.1f", x(i), y(sum/60)))
	}
	fmt.Fprintf(&b, "<polyline class=\"server\" points=\"%s\"/>\n", strings.Join(takes, " "))
	fmt.Fprintf(&b, "<polyline class=\"lane\" points=\"%s\"/>\n", strings.Join(sends, " "))
	b.WriteString("</svg>\n")
	return b.String()
}

const dayHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 340" width="720" height="340" role="img">
<title>A lane on a bad day of its provider</title>
<desc>Messages a second over 24 hours: what the server takes, and what the lane sends.</desc>
<style>
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .page { fill: #ffffff }
  .grid { stroke: #d1d9e0 }
  .server { fill: none; stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 7 5 } .server-text { fill: #bc4c00 }
  .lane { fill: none; stroke: #0969da; stroke-width: 2 } .lane-text { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .page { fill: #0d1117 }
    .grid { stroke: #30363d }
    .server { stroke: #f0883e } .server-text { fill: #f0883e }
    .lane { stroke: #58a6ff } .lane-text { fill: #58a6ff }
  }
</style>
<rect class="page" width="720" height="340"/>
<text class="title" x="60" y="28">A lane on a bad day of its provider, messages a second</text>
<text class="lane-text" x="700" y="20" text-anchor="end">the lane sends</text>
<text class="server-text" x="700" y="38" text-anchor="end">the server takes</text>
`
