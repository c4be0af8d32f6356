package templates

import (
	"testing"

	"broadside/campaign"
)

// The letters of a digest cost no more than others: a program of plain calls writes them.
func TestADigestIsAProgram(t *testing.T) {
	t.Parallel()
	s := flatSnapshot("{{if .feed.items}}{{range .feed.items}}<h2><a href=\"{{.link}}\">{{.title}}</a></h2>{{if .published}}{{.published}}{{end}}{{.content}}{{end}}{{end}}{{.code}}")
	s.Subject = "{{len .feed.items}}: {{(index .feed.items 0).title}}"
	if err := CheckFeed(s); err != nil {
		t.Fatal(err)
	}
	tmpl, err := Compile(WithFeed(s, []campaign.FeedItem{{Title: "T", Link: "https://a.example/", Content: "<p>C</p>"}}))
	if err != nil {
		t.Fatal(err)
	}
	if tmpl.subject.flat == nil || tmpl.html.flat == nil || tmpl.text.flat == nil {
		t.Errorf("subject is a program: %v, HTML: %v, text: %v", tmpl.subject.flat != nil, tmpl.html.flat != nil, tmpl.text.flat != nil)
	}
}
