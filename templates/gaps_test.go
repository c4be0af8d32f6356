package templates_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/templates"
)

func TestGaps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []templates.Gap
	}{
		{"Hi {{.name}}!", []templates.Gap{{"name"}}},
		{"Hi {{$.name}}, {{.name}} of {{.city}}!", []templates.Gap{{"name"}, {"city"}}},
		{`Hi {{default "reader" .name}}!`, nil},
		{`Hi {{.name | trim | default "reader"}}!`, nil},
		{`Hi {{or .name "reader"}}!`, nil},
		{`Hi {{default " " .name}}!`, []templates.Gap{{"name"}}},
		{`Hi {{default .nick .name}}!`, []templates.Gap{{"name", "nick"}}},
		{`Hi {{.name | default .nick | title}}!`, []templates.Gap{{"name", "nick"}}},
		{`{{upper .name}} {{print .a "-" .b}}`, []templates.Gap{{"name"}, {"a"}, {"b"}}},
		{"{{if .name}}Hi {{.name}}{{else}}Hi {{.nick}}{{end}}", []templates.Gap{{"nick"}}},
		{"{{if and .a .b}}{{.a}} {{.b}} {{.c}}{{end}}", []templates.Gap{{"c"}}},
		{`{{if eq .plan "gold"}}{{.plan}}{{end}}`, nil},
		{`{{if or .a .b}}{{.a}}{{end}}`, []templates.Gap{{"a"}}},
		{`{{if not .a}}{{.a}}{{end}}`, []templates.Gap{{"a"}}},
		{"{{with .company}}at {{.}}, {{$.city}}{{end}}", []templates.Gap{{"city"}}},
		{`{{and .city ", "}}`, nil},
		{"{{len .code}} {{.unsubscribe_url}}", nil},
	} {
		s := campaign.Snapshot{Subject: "S", Markdown: tt.text, BodyFile: "a.md", Layout: "plain"}
		got, err := templates.Gaps(s)
		if err != nil {
			t.Fatalf("%s: %v", tt.text, err)
		}

		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}

	s := campaign.Snapshot{Subject: "For {{.a}}", Preheader: "{{.b}}", Markdown: "{{.c}}", BodyFile: "a.md", Text: "{{.d}}", TextFile: "a.txt", Layout: "plain"}
	got, err := templates.Gaps(s)
	if diff := cmp.Diff([]templates.Gap{{"a"}, {"b"}, {"c"}, {"d"}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
