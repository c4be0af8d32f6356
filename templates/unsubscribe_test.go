package templates_test

import (
	"strings"
	"testing"

	"broadside/templates"
)

// A link that no one can see, or press, is none.
func TestUnsubscribeLinksThatCount(t *testing.T) {
	t.Parallel()
	const open = `<a href="{{.unsubscribe_url}}">`
	for _, tt := range []struct {
		page   string
		counts bool
	}{
		{open + "x</a>", true},
		{open + "<b> <i>x</i></b></a>", true},
		{open + `<img src="https://a.example/x.png" alt="Leave">` + "</a>", true},
		{open + "{{.code}}x</a>", true},
		{open + "</a>" + open + "x</a>", true},
		{"<p>Leave: {{.unsubscribe_url}}</p>", true},
		{"<div style=\"display:none\">" + open + "x</a></div>" + open + "x</a>", true},
		{open + "</a>", false},
		{open + " \n&nbsp;&zwnj;\u200b\ufeff&shy;</a>", false},
		{open + "<b></b><!-- x --></a>", false},
		{open + "{{.code}}</a>", false}, // blank for some
		{open + "<span style=\"color:red; DISPLAY : none\">x</span></a>", false},
		{"<div style=\"display:none\">" + open + "x</a></div>", false},
		{"<div hidden>" + open + "x</a></div>", false},
		{"<!-- " + "{{.unsubscribe_url}}" + " --><p>x</p>", false},
	} {
		s := snapshot()
		s.Markdown = ""
		s.HTML = tt.page
		s.Layout = "none"
		s.Text = "Leave: {{.unsubscribe_url}}"
		_, err := templates.Compile(s)
		if got := err == nil; got != tt.counts {
			t.Errorf("%s: got %v, want that it counts: %v", tt.page, err, tt.counts)
		}
		if err != nil && !strings.Contains(err.Error(), "no unsubscribe link for every reader") {
			t.Errorf("%s: got %v", tt.page, err)
		}
	}
}

// Invisible characters that turn the direction of a text around make a subject
// read as another one: none comes through a merge field or an action.
func TestNothingTurnsASubjectAround(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Subject = "Your code{{print \"\\u202e\"}}: {{.code}}"
	for _, r := range "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" {
		values := make([]string, len(s.Columns))
		for i := range values {
			values[i] = string(r) + "1" + string(r) + "2"
		}
		if got, want := render(t, s, values).Subject, "Your code: 12"; got != want {
			t.Errorf("%U: got %+q, want %+q", r, got, want)
		}
	}

	const emoji = "👩\u200d🚀 a\u200cb" // joiners stay
	values := make([]string, len(s.Columns))
	for i := range values {
		values[i] = emoji
	}

	if got, want := render(t, s, values).Subject, "Your code: "+emoji; got != want {
		t.Errorf("got %+q, want %+q", got, want)
	}
}
