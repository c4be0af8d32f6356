package sender

import (
	"fmt"
	"strings"
	"time"
)

// drawDay draws the rate over the day, and what the server takes.
func drawDay(d *badDay) string {
	const left, right, top, bottom = 60.0, 700.0, 50.0, 300.0
	const slice = 10 * time.Minute
	x := func(at time.Duration) float64 { return left + (right-left)*float64(at)/float64(d.lasts) }
	y := func(perMinute float64) float64 { return bottom - (bottom-top)*perMinute/(dayCeiling*60*1.1) }

	var b strings.Builder
	b.WriteString(dayHead)
	for n := 0.0; n <= dayCeiling*60; n += 3 {
		fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>\n", left, right, y(n), y(n))
		fmt.Fprintf(&b, "<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", left-8, y(n)+4.5, n)
	}
	for at := time.Duration(0); at <= d.lasts; at += d.lasts / 6 {
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%02.0f:00</text>\n", x(at), bottom+20, at.Hours())
	}

	var takes, sends []string
	for at := time.Duration(0); at < d.lasts; at += slice {
		n := 0.0
		for _, accepted := range d.accepted {
			if (span{at, at + slice}).has(accepted) {
				n++
			}
		}
		takes = append(takes, fmt.Sprintf("%.1f,%.1f", x(at), y(60*min(d.takes(at), dayCeiling))))
		sends = append(sends, fmt.Sprintf("%.1f,%.1f", x(at+slice/2), y(n/slice.Minutes())))
	}
	fmt.Fprintf(&b, "<polyline class=\"server\" points=\"%s\"/>\n", strings.Join(takes, " "))
	fmt.Fprintf(&b, "<polyline class=\"lane\" points=\"%s\"/>\n", strings.Join(sends, " "))
	b.WriteString("</svg>\n")
	return b.String()
}

const dayHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 340" width="720" height="340" role="img">
<title>A worker on a bad day of its provider</title>
<desc>Messages a minute over 24 hours: what the server takes, and what was accepted.</desc>
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
<text class="title" x="60" y="28">A worker on a bad day of its provider, messages a minute</text>
<text class="lane-text" x="700" y="20" text-anchor="end">accepted</text>
<text class="server-text" x="700" y="38" text-anchor="end">the server takes</text>
`
