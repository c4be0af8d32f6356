package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// A plot is two lines, or one, over an axis of the values at which something
// was measured. The axis is logarithmic, so that 1 and 3 stand apart as 50,000
// and 150,000 do; the other begins at zero.
type plot struct {
	title string
	x, y  string // what the axes show
	lines []curve
}

// A curve is one line of a plot; its points are in the order of x, which is
// above zero.
type curve struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// Places in the picture, in its own units.
const (
	plotWidth, plotHeight         = 720.0, 400.0
	plotLeft, plotRight           = 80.0, 690.0 // of the axes
	plotTop, plotBottom           = 78.0, 340.0
	plotInset                     = 24.0 // of the points from the axes' ends
	plotTicks                     = 5    // of the upright axis, at most six
	legendX, legendY, legendWidth = 80.0, 56.0, 160.0
)

// plotStyle colours the picture for a light page and a dark one. The lines
// differ in more than colour.
const plotStyle = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .page { fill: #ffffff }
  .grid { stroke: #d1d9e0 }
  .axis { stroke: #59636e }
  .line { fill: none; stroke-width: 2.5 }
  .line0 { stroke: #0969da } .dot0 { fill: #0969da }
  .line1 { stroke: #bc4c00; stroke-dasharray: 7 5 } .dot1 { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .page { fill: #0d1117 }
    .grid { stroke: #30363d }
    .axis { stroke: #9198a1 }
    .line0 { stroke: #58a6ff } .dot0 { fill: #58a6ff }
    .line1 { stroke: #f0883e } .dot1 { fill: #f0883e }
  }
`

// svg draws the plot.
func (p *plot) svg() string {
	s := p.scales()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img">`+"\n", plotWidth, plotHeight, plotWidth, plotHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>%s</style>\n", escape(p.title), plotStyle)
	fmt.Fprintf(&b, `<rect class="page" width="%g" height="%g"/>`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<text class="title" x="%g" y="30">%s</text>`+"\n", plotLeft, escape(p.title))
	p.axes(&b, s)
	for i, c := range p.lines {
		c.draw(&b, s, i)
		c.legend(&b, i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// scales turn values into places.
type scales struct {
	xs          []float64 // where the x axis has ticks
	first, last float64   // of xs
	step, top   float64   // of the y axis
}

func (p *plot) scales() scales {
	s := scales{first: math.Inf(1), last: math.Inf(-1)}
	seen, highest := map[float64]bool{}, 0.0
	for _, c := range p.lines {
		for _, q := range c.points {
			if !seen[q.x] {
				seen[q.x] = true
				s.xs = append(s.xs, q.x)
			}
			s.first, s.last, highest = min(s.first, q.x), max(s.last, q.x), max(highest, q.y)
		}
	}
	s.step = niceStep(highest / plotTicks)
	s.top = s.step * max(1, math.Ceil(highest/s.step))
	return s
}

// niceStep returns the smallest of 1, 2, 5, 10, 20, 50, ... that is not below v.
func niceStep(v float64) float64 {
	if v <= 1 {
		return 1
	}
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*decade >= v {
			return m * decade
		}
	}
	return 10 * decade
}

func (s scales) atX(x float64) float64 {
	if s.last == s.first {
		return (plotLeft + plotRight) / 2
	}
	share := math.Log(x/s.first) / math.Log(s.last/s.first)
	return plotLeft + plotInset + share*(plotRight-plotLeft-2*plotInset)
}

func (s scales) atY(y float64) float64 { return plotBottom - y/s.top*(plotBottom-plotTop) }

func (p *plot) axes(b *strings.Builder, s scales) {
	for y := 0.0; y <= s.top; y += s.step {
		at := s.atY(y)
		fmt.Fprintf(b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`+"\n", plotLeft, plotRight, at, at)
		fmt.Fprintf(b, `<text x="%g" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-10, at+4.5, thousands(y, 0))
	}
	for _, x := range s.xs {
		at := s.atX(x)
		fmt.Fprintf(b, `<line class="axis" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`+"\n", at, at, plotBottom, plotBottom+6)
		fmt.Fprintf(b, `<text x="%.1f" y="%g" text-anchor="middle">%s</text>`+"\n", at, plotBottom+22, thousands(x, 0))
	}
	fmt.Fprintf(b, `<path class="axis" fill="none" d="M%g %gV%gH%g"/>`+"\n", plotLeft, plotTop, plotBottom, plotRight)
	fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+46, escape(p.x))
	fmt.Fprintf(b, `<text transform="translate(20 %g) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (plotTop+plotBottom)/2, escape(p.y))
}

// draw draws line number i: a line, and a mark with its value at each point.
func (c *curve) draw(b *strings.Builder, s scales, i int) {
	places := make([]string, len(c.points))
	for n, q := range c.points {
		places[n] = fmt.Sprintf("%.1f,%.1f", s.atX(q.x), s.atY(q.y))
	}
	fmt.Fprintf(b, `<polyline class="line line%d" points="%s"/>`+"\n", i, strings.Join(places, " "))
	for _, q := range c.points {
		fmt.Fprintf(b, `<circle class="dot%d" cx="%.1f" cy="%.1f" r="4.5"><title>%s: %s at %s</title></circle>`+"\n",
			i, s.atX(q.x), s.atY(q.y), escape(c.name), thousands(q.y, 0), thousands(q.x, 0))
	}
}

func (c *curve) legend(b *strings.Builder, i int) {
	x := legendX + float64(i)*legendWidth
	fmt.Fprintf(b, `<path class="line line%d" d="M%g %gh34"/>`+"\n", i, x, legendY)
	fmt.Fprintf(b, `<text x="%g" y="%g">%s</text>`+"\n", x+42, legendY+4.5, escape(c.name))
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
