package strictyaml_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/configs/strictyaml"
)

func parse(t *testing.T, text string) *strictyaml.Doc {
	t.Helper()
	doc, err := strictyaml.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestMapReadsEveryKind(t *testing.T) {
	t.Parallel()
	doc := parse(t, `
line: 0123          # text as it is written
choice: b
bool: true
int: 7
duration: 1d
durations: [1s, 2m]
rate: 60/min
range: 1-2
strings:
- x
- "y"
free: {a: 1, b: yes}
below: {deep: {line: here}}
named: {one: {n: 1}, two: }
empty:
void: ""
tracking: {opens: off}
`)
	var (
		line, choice, deep, empty, void string
		flag                            bool
		number                          int
		duration                        time.Duration
		durations                       []time.Duration
		rate                            float64
		low, high                       int64
		list                            []string
		free                            map[string]string
		named                           = map[string]int{}
	)
	empty, void = "default", "default"
	doc.Read(func(m *strictyaml.Map) {
		m.Line("line", &line)
		m.Choice("choice", &choice, "a", "b")
		strictyaml.Bool(m, "bool", &flag)
		strictyaml.Int(m, "int", &number, 0, 9, "a number")
		strictyaml.Duration(m, "duration", &duration, 0, 48*time.Hour)
		strictyaml.Durations(m, "durations", &durations, 0, time.Hour)
		strictyaml.Rate(m, "rate", &rate)
		strictyaml.Range(m, "range", &low, &high)
		m.Strings("strings", &list, "text", nil)
		m.StringMap("free", &free, "anything", func(string, string) bool { return true })
		m.Map("below", func(m *strictyaml.Map) {
			m.Map("deep", func(m *strictyaml.Map) { m.Line("line", &deep) })
		})
		m.Maps("named", "a name", func(name string, m *strictyaml.Map) bool {
			n := -1
			strictyaml.Int(m, "n", &n, 0, 9, "a number")
			named[name] = n
			return true
		})
		m.Line("empty", &empty)
		m.Line("void", &void)
		m.Off("tracking", "leave it out")
		if m.Has("empty") || m.Has("void") || m.Has("absent") || !m.Has("line") {
			t.Error("Has is wrong about what is given")
		}
	})
	if err := doc.Err(); err != nil {
		t.Fatal(err)
	}

	got := fmt.Sprint(line, choice, flag, number, duration, durations, rate, low, high, list, free, deep, named, empty, void)
	want := "0123btrue7 24h0m0s [1s 2m0s] 1 1 2 [x y] map[a:1 b:yes]heremap[one:1 two:-1]defaultdefault"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	doc := parse(t, "# head\na:\n  b: [x,\n    y]\n")
	for key, want := range map[string]string{"a": "2:1", "a.b": "3:3", "a.b[0]": "3:7", "a.b[1]": "4:5", "a.c": "2:1", "a.b[7].z": "3:3", "q": "1:1", "": "1:1"} {
		p := doc.Place(key)
		if got := fmt.Sprintf("%d:%d", p.Line, p.Column); got != want {
			t.Errorf("place of %q: got %s, want %s", key, got, want)
		}
	}
	if got := len(doc.Places()); got != 4 {
		t.Errorf("got %d places, want 4", got)
	}
}

func TestManyProblemsAreCounted(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 250 {
		fmt.Fprintf(&text, "key%d: 1\n", i)
	}

	doc := parse(t, text.String())
	doc.Read(func(*strictyaml.Map) {})
	var problems strictyaml.Problems
	if !errors.As(doc.Err(), &problems) || len(problems) != 101 {
		t.Fatalf("got %d problems, want 100 and a count", len(problems))
	}

	if got, want := problems[100].Error(), "f.yaml: and 150 more problems"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProblemsAreSortedByPlace(t *testing.T) {
	t.Parallel()
	doc := parse(t, "a: 1\nb: 2\nc: 3\n")
	doc.Read(func(m *strictyaml.Map) {
		for _, key := range []string{"c", "a", "b"} {
			m.Off(key, "no")
		}
	})
	want := "f.yaml:1:4: a: not supported yet: no\nf.yaml:2:4: b: not supported yet: no\nf.yaml:3:4: c: not supported yet: no"
	if diff := cmp.Diff(want, fmt.Sprint(doc.Err())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	t.Parallel()
	const depth = 5000
	doc := parse(t, "a: "+strings.Repeat("[", depth)+strings.Repeat("]", depth))
	if err := doc.Err(); err == nil || !strings.Contains(err.Error(), "found more than 32 levels") {
		t.Errorf("got %v", err)
	}
}

func TestAliasBombIsRefused(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("a0: &a0 [x, x]\n")
	for i := range 40 {
		fmt.Fprintf(&text, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	doc := parse(t, text.String())
	if err := doc.Err(); err == nil || !strings.Contains(err.Error(), "f.yaml:1:5: a0: found an anchor or alias") {
		t.Errorf("got %v", err)
	}
}
