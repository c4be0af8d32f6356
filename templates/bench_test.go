package templates_test

import (
	"fmt"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/templates"
)

// newsletter20K is a campaign as newsletters are: 20 KB of HTML, 12 merge
// fields.
func newsletter20K() (campaign.Snapshot, templates.Data) {
	var md strings.Builder
	s := snapshot()
	s.Columns = nil
	d := templates.Data{Unsubscribe: link}
	for i := range 12 {
		field := fmt.Sprintf("field_%d", i)
		s.Columns = append(s.Columns, field)
		d.Values = append(d.Values, fmt.Sprintf("Value %d", i))
		fmt.Fprintf(&md, "## Section %d\n\nFor {{.%s}}: %s\n\n", i, field, strings.Repeat("a sentence of usual length, with some words. ", 14))
		for j := range 6 {
			fmt.Fprintf(&md, "- [a link](https://acme.example/%d/%d) and what is behind it\n", i, j)
		}
		md.WriteString("\n")
	}

	s.Markdown = md.String()
	s.Subject = `{{default "Hello" .field_0}}, our news`
	s.Preheader = "For {{.field_1}}"

	return s, d
}

func BenchmarkRender(b *testing.B) {
	s, d := newsletter20K()
	t, err := templates.Compile(s)
	if err != nil {
		b.Fatal(err)
	}

	var l templates.Letter
	b.ReportAllocs()
	for b.Loop() {
		if err := t.Render(&l, d); err != nil {
			b.Fatal(err)
		}
	}

	b.ReportMetric(float64(len(l.HTML)), "HTML-bytes")
	b.ReportMetric(float64(len(l.Text)), "text-bytes")
}

func BenchmarkCompile(b *testing.B) {
	s, _ := newsletter20K()
	for b.Loop() {
		if _, err := templates.Compile(s); err != nil {
			b.Fatal(err)
		}
	}
}
