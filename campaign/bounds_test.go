package campaign_test

import (
	"strings"
	"testing"

	"broadside/campaign"
)

func TestExclusionsAreBounded(t *testing.T) {
	t.Parallel()
	const text = "id: a\ntopic: a\nfrom: a@example.org\nsubject: a\naudience: {source: a.csv}\ncontent: {markdown: a.md}\nexclude: ["
	if _, err := campaign.Parse("a.yaml", "", []byte(text+strings.Repeat("list:a, ", 100)+"]\n")); err != nil {
		t.Error(err)
	}
	_, err := campaign.Parse("a.yaml", "", []byte(text+strings.Repeat("list:a, ", 101)+"]\n"))
	if want := "a.yaml:7:1: exclude: found 101 entries, expected at most 100"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
