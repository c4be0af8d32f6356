package templates

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// repeated is what hostile sources are made of: a quarter of a megabyte of s.
func repeated(s string) string { return strings.Repeat(s, (256<<10)/len(s)) }

// numbered is the same of texts with a number in them.
func numbered(format string) string {
	var b strings.Builder
	for i := 0; b.Len() < 256<<10; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestHostileSources: what takes a tool time that grows with the square of its
// text, or worse, is refused or done otherwise. Each of these took minutes.
func TestHostileSources(t *testing.T) {
	t.Parallel()
	const patience = time.Minute // they take two seconds, on a quiet machine
	for _, c := range []struct {
		name, markdown, html string
		want                 string // in the problem; empty: it compiles
	}{
		{"quotes", repeated("> "), "", "b:1:1: more than 100 nested quotes (>): remove some"},
		{"quotes on a later line", "a\n\n" + strings.Repeat(">", 101), "", "b:3:1: more than 100 nested quotes"},
		{"brackets", repeated("[a](\n"), "", "b:1001:1: more than 1000 brackets ([) in one paragraph"},
		{"brackets in many paragraphs", repeated(strings.Repeat("[a](b) ", 50) + "\n\n"), "", ""},
		{"cells", strings.Repeat("|", 1001), "", "b:1:1: more than 1000 cells (|) in one row"},
		{"open elements", "", repeated("<div>"), "b: more than 500 nested elements are open"},
		{"at-rules", "", "<style>" + repeated("@a;") + "</style><p>", ""},
		{"rules", "", "<style>" + numbered("p.a%d{a:b}")[:200<<10] + "}</style>" + repeated("<p>x"), "rules and declarations for"},
		{"large rules", "", "<style>p{a:" + repeated("b")[:200<<10] + "}</style>" + repeated("<p>x"), "bytes of CSS with"},
		{"rules and media for one element", "", "<style>" + numbered("p{a-%d:b}")[:100<<10] + "}@media print{" + numbered("p{a-%d:c}")[:100<<10] + "}}</style><p>x", ""},
		{"one property again and again", "", "<style>p{" + numbered("a:f(%d);") + "}</style><p>x", ""},
		{"a long property", "", "<style>p{" + repeated("a-") + "b:c}</style><p>x", ""},
		{"links in links", "", strings.Repeat("<p><a href=\"{{.code}}\">x", 5000), ""},
		{"buttons", repeated("**[a](b)**\n\n"), "", "elements are too much to inline"},
		{"cells of a table without headings", "", "<table><tr>" + strings.Repeat("<td>a", 40_000), ""},
		{"attributes", "", repeated("<p {{.code}}>"), "b:1:4: an action between the attributes of <p>"},
		{"prefixes of tokens", numbered("zq%dx "), "", ""},
		{"unknown fields", numbered("{{.x%d}}"), "", "more problems"},
		{"unknown functions", numbered("{{f%d}}"), "", "more problems"},
		{"a long name", "{{." + repeated("a") + "}}", "", "b:1:3: unknown merge field"},
		{"an end too many", repeated("{{.code}}") + "{{end}}", "", "this {{end}} closes nothing"},
		{"parentheses", "{{" + repeated("("), "", "b:1:1: template syntax: max expression depth exceeded"},
		{"else if", "{{if .code}}" + repeated("{{else if .plan}}") + "{{end}}", "", ""},
		{"comparisons", repeated("{{if eq (upper .code) .code}}{{end}}"), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := flatSnapshot(c.html)
			s.Markdown = c.markdown
			start := time.Now()
			tmpl, err := Compile(s)
			if took := time.Since(start); took > patience {
				t.Errorf("it took %v", took)
			}

			var problems Problems
			switch {
			case c.want == "" && err != nil && !errors.As(err, &problems):
				t.Fatalf("%T: %v", err, err)
			case c.want == "" && err != nil && !strings.Contains(err.Error(), ErrTooLarge.Error()):
				t.Fatal(err)
			case c.want != "" && (!errors.As(err, &problems) || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("%.300v, want %s", err, c.want)
			case len(problems) > maxProblems+1:
				t.Errorf("%d problems", len(problems))
			}

			if tmpl == nil {
				return
			}

			start = time.Now()
			var l Letter
			err = tmpl.Render(&l, Data{Values: []string{strings.Repeat("ä", 32<<10), "x"}, Unsubscribe: "https://a.example/u"})
			if took := time.Since(start); took > patience {
				t.Errorf("rendering took %v: %v", took, err)
			}
		})
	}
}

// doubling is n levels of with, each of which has its text twice.
func doubling(n int) string {
	return "{{with .code}}" + strings.Repeat("{{with print . .}}", n) + "{{if eq . \"x\"}}{{end}}" + strings.Repeat("{{end}}", n+1)
}

// TestATextThatGrowsIsRefused: nothing of it is printed, so that the limit of
// the output would not stop it before the memory is full.
func TestATextThatGrowsIsRefused(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		doubling(80): "subject:1:275: this text can be longer than 2 MiB",
		`{{with print "` + strings.Repeat("a", 50) + `"}}` + strings.Repeat("{{with print . . .}}", 10) + strings.Repeat("{{end}}", 11): "this text can be longer than 2 MiB",
		doubling(14): "",
	} {
		s := flatSnapshot("<p>{{.code}}</p>")
		s.Subject = "s" + source
		_, err := Compile(s)
		var problems Problems
		switch {
		case want == "" && err != nil:
			t.Errorf("%.40s...: %v", source, err)
		case want != "" && (!errors.As(err, &problems) || !strings.Contains(err.Error(), want) || len(problems) != 1):
			t.Errorf("%.40s...: %v, want %s", source, err, want)
		}
	}
}

// TestTooMuchWork: values that the template would take too long over fail
// their recipient, and no other.
func TestTooMuchWork(t *testing.T) {
	t.Parallel()
	s := flatSnapshot("<p>{{.code}}</p>" + strings.Repeat(`{{if eq (upper .code) (lower .code)}}{{end}}`, 5000))
	tmpl, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}

	var l Letter
	if err := tmpl.Render(&l, Data{Values: []string{strings.Repeat("a", 64<<10), "x"}, Unsubscribe: "u"}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("a long value: %v, want ErrTooMuch", err)
	}
	if err := tmpl.Render(&l, Data{Values: []string{"a", "x"}, Unsubscribe: "u"}); err != nil {
		t.Errorf("a short value after it: %v", err)
	}
}

// TestWorkIsABound: no part is longer than the work of its template, but for
// what escaping adds.
func TestWorkIsABound(t *testing.T) {
	t.Parallel()
	const escaped = 6 // bytes for one, as in \u0022
	for _, body := range append(append([]string{doubling(10) + "x"}, flatBodies...), treeBodies...) {
		s := flatSnapshot(body + "<p>x</p>")
		s.Subject = "{{print .code .plan (upper .code)}}{{with print .code .code}}{{print . .}}{{end}}"
		tmpl, err := Compile(s)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}

		for _, code := range hostile() {
			var l Letter
			if err := tmpl.Render(&l, Data{Values: []string{code, code}, Unsubscribe: "https://a.example/u"}); err != nil {
				t.Fatal(err)
			}
			if got, most := int64(len(l.Subject)+len(l.HTML)+len(l.Text)), escaped*tmpl.work.of(max(len(code), len("https://a.example/u"))); got > most {
				t.Errorf("%s with %.20q: %d bytes, work of at most %d", body, code, got, most)
			}
		}
	}
}
