package templates_test

import (
	"errors"
	"strings"
	"testing"

	"broadside/templates"
)

// TestEncodedBracesAreFound: an action that an editor encoded would be shown to
// readers as it is.
func TestEncodedBracesAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Hi\n[x](https://a.example/%7B%7B.first_name%7D%7D)": "october.md:2:23: %7B%7B.first_name%7D%7D is shown to readers as it is, because its braces are encoded: write {{.first_name}}",
		"%7b%7B%20.code%20%7d%7D":                            "october.md:1:1: %7b%7B%20.code%20%7d%7D is shown to readers as it is, because its braces are encoded: write {{ .code }}",
		"%257B%257B.code%257D%257D":                          "write {{.code}}",
		"ä &#123;&#123;.code&#125;&#125;":                    "october.md:1:3: &#123;&#123;.code&#125;&#125; is shown",
		"&#x7B;&#x7b;.code}}":                                "write {{.code}}",
		"&lbrace;&lcub;.code&rcub;&rbrace;":                  "write {{.code}}",
		`\{\{.code\}\}`:                                      "write {{.code}}",
		"%7B%7Bif .code%7D%7D":                               "write {{if .code}}",
		`%7B%7Bdefault &quot;x&quot; .code%7D%7D`:            `write {{default "x" .code}}`,
		"{{.code}} &#123;&#123;$.code}} {{.code}}":           "october.md:1:11: ",
		"{{.code}}":                  "",
		"{{`%7B%7B.code%7D%7D`}}":    "",
		"%7B%7B":                     "",
		"a &#123;&#123; b and c }}":  "",
		"https://a.example/%7Bid%7D": "",
		"{ {.code} }":                "",
	} {
		s := snapshot()
		s.Markdown = text
		err := templates.Review(s)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}

		var problems templates.Problems
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v, want one problem with\n%s", text, err, want)
		}
		if _, err := templates.Compile(s); err != nil {
			t.Errorf("%s: a run that was made earlier does not compile: %v", text, err)
		}
	}
}

// TestReviewReadsEveryText: the braces may be in any of a campaign's texts.
func TestReviewReadsEveryText(t *testing.T) {
	t.Parallel()
	s := snapshot()
	const encoded = "&#123;&#123;.code}}"
	s.Subject = encoded
	s.Preheader = encoded
	s.Markdown = encoded
	s.Text = encoded
	var problems templates.Problems
	if err := templates.Review(s); !errors.As(err, &problems) || len(problems) != 4 {
		t.Fatalf("%v, want four problems", err)
	}

	for i, file := range []string{"subject", "preheader", "october.md", "october.txt"} {
		if problems[i].File != file {
			t.Errorf("problem %d is in %s, want %s", i, problems[i].File, file)
		}
	}
}

// TestALongPageIsWarnedOf: Gmail cuts what is longer than 102 KB.
func TestALongPageIsWarnedOf(t *testing.T) {
	t.Parallel()
	for words, want := range map[int]string{9_000: "", 12_000: "october.md: the HTML has 1"} {
		s := snapshot()
		s.Markdown = strings.Repeat("a letter ", words)
		tmpl, err := templates.Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := tmpl.Warnings(s); (want == "") != (len(got) == 0) || !strings.HasPrefix(got.Error(), want) {
			t.Errorf("%d words: %v, want %s", words, got, want)
		}
	}
}
