package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/internal/bench"
)

func example() *setResult {
	results := []*bench.Result{sent(200_000, 50, 7000, 9000), sent(20_000, 50, 6000, 8000), sent(4000, 1, 1000, 1100)}
	return &setResult{
		Set: setStandard, At: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Seconds: 421.4, Machine: bench.Machine{Cores: 2, CPU: "Test CPU", Go: "go1.26"},
		Figures: figures(map[string]*bench.Result{nameLong: results[0]}), Results: results, points: points(results),
	}
}

func TestDocumentKeepsWhatIsAround(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "performance.md")
	const head, tail = "# How fast\n\nBy hand, before.\n\n", "\nBy hand, after: <!-- a remark -->\n"
	if err := os.WriteFile(file, []byte(head+beginMark+"\nwhat was measured before\n"+endMark+"\n"+tail), 0o600); err != nil {
		t.Fatal(err)
	}
	var last string
	for range 2 { // the second time it finds what the first one wrote
		d, err := openDocument(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(example()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" && string(text) != last {
			t.Errorf("the second time it is different: %s", cmp.Diff(last, string(text)))
		}
		last = string(text)
	}
	want := head + beginMark + "\n" + example().markdown() + endMark + "\n" + tail
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, part := range []string{
		"on Test CPU, 2 core(s), go1.26;", "2026-05-04, in 7m1s", "`broadside bench send`", "| messages, of smtp-source's | 0.78 | at least 0.8: missed |",
		"](throughput-connections.svg)", "](throughput-recipients.svg)",
		"| 1 connection, 4,000 recipients | 1,000 | 1,100 | 0.91 | `broadside bench send` |",
	} {
		if !strings.Contains(last, part) {
			t.Errorf("%q is not in\n%s", part, last)
		}
	}
	for _, name := range plotFiles {
		svg, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := elements(string(svg)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocumentWithoutItsMarksIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"none":       "text\n",
		"no end":     beginMark + "\n",
		"no begin":   endMark + "\n",
		"two begins": beginMark + "\n" + beginMark + "\n" + endMark + "\n",
		"two ends":   beginMark + "\n" + endMark + "\n" + endMark + "\n",
		"turned":     endMark + "\n" + beginMark + "\n",
		"in a line":  "see " + beginMark + "\n" + endMark + "\n",
	} {
		file := filepath.Join(t.TempDir(), "x.md")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openDocument(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := openDocument(filepath.Join(t.TempDir(), "none.md")); err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("no file: got %v", err)
	}
}

func TestTheProjectsDocumentHasItsMarks(t *testing.T) {
	t.Parallel()
	if _, err := openDocument(filepath.Join("..", "..", "docs", "performance.md")); err != nil {
		t.Error(err)
	}
}

// An element of a picture.
type element struct {
	name, text string
	attr       map[string]string
}

func (e *element) number(t *testing.T, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attr[name], 64)
	if err != nil {
		t.Fatalf("%s of %+v: %v", name, e, err)
	}
	return v
}

// elements reads all of a picture, which must be XML from end to end.
func elements(svg string) (all []*element, err error) {
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			all = append(all, e)
		case xml.CharData:
			if len(all) > 0 && all[len(all)-1].text == "" {
				all[len(all)-1].text = strings.TrimSpace(string(token))
			}
		}
	}
}

func TestPointsStandWhereTheyShould(t *testing.T) {
	t.Parallel()
	p := &plot{title: "a < b & c", x: "x", y: "y", lines: []curve{
		{"ours", []point{{1, 0}, {10, 4500}, {100, 9000}}},
		{"<theirs>", []point{{1, 2250}, {100, 8000}}},
	}}
	all, err := elements(p.svg())
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ x, y float64 }
	circles, texts := map[string][]place{}, map[string]place{}
	var lines []string
	for _, e := range all {
		switch {
		case e.name == "circle":
			circles[e.attr["class"]] = append(circles[e.attr["class"]], place{e.number(t, "cx"), e.number(t, "cy")})
		case e.name == "polyline":
			lines = append(lines, e.attr["points"])
		case e.name == "text" && e.attr["x"] != "":
			texts[e.text] = place{e.number(t, "x"), e.number(t, "y")}
		}
	}
	// The upright axis goes from 0 at 340 to 10,000 at 78; the other one, by
	// powers, from 1 at 104 to 100 at 666.
	want := map[string][]place{
		"dot0": {{104, 340}, {385, 222.1}, {666, 104.2}},
		"dot1": {{104, 281.1}, {666, 130.4}},
	}
	near := cmp.Comparer(func(a, b float64) bool { return a-b < 0.11 && b-a < 0.11 })
	if diff := cmp.Diff(want, circles, cmp.AllowUnexported(place{}), near); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"104.0,340.0 385.0,222.1 666.0,104.2", "104.0,281.1 666.0,130.4"}, lines); diff != "" {
		t.Errorf("lines: -want +got:\n%s", diff)
	}
	for text, at := range map[string]place{
		"0": {70, 344.5}, "10,000": {70, 82.5}, "2,000": {70, 292.1}, // next to their heights
		"1": {104, 362}, "10": {385, 362}, "100": {666, 362}, // below their points
	} {
		if diff := cmp.Diff(at, texts[text], cmp.AllowUnexported(place{}), near); diff != "" {
			t.Errorf("%s: -want +got:\n%s", text, diff)
		}
	}
	for _, text := range []string{"a < b & c", "x", "ours", "<theirs>"} {
		if _, ok := texts[text]; !ok {
			t.Errorf("%q is not in the picture", text)
		}
	}
}

func TestPlotsOfLittle(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*plot{
		"nothing":   {},
		"one point": {lines: []curve{{"ours", []point{{50, 0.5}}}}},
		"all zero":  {lines: []curve{{"ours", []point{{1, 0}, {2, 0}}}}},
	} {
		svg := p.svg()
		if _, err := elements(svg); err != nil || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: %v\n%s", name, err, svg)
		}
	}
}

func TestNiceStep(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]float64{0: 1, 0.3: 1, 1: 1, 1.1: 2, 3: 5, 7: 10, 1800: 2000, 2000: 2000, 2001: 5000, 60_000: 100_000} {
		if got := niceStep(v); got != want {
			t.Errorf("niceStep(%v) = %v, want %v", v, got, want)
		}
	}
}
