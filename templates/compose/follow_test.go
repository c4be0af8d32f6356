package compose

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/token"
)

var (
	clicks  = regexp.MustCompile(`href="https://news\.acme\.example/c/([^"]*)"`)
	picture = regexp.MustCompile(`src="https://news\.acme\.example/o/([^"]*)"`)
)

// The links of a message open, and name its reader.
func TestFollowedLinksOpen(t *testing.T) {
	t.Parallel()
	c, people := newsletter(t, "", campaign.Tracking{Opens: true, Clicks: true})
	var d Draft
	for i, r := range people {
		r.Part = 2
		if err := c.Compose(&d, r); err != nil {
			t.Fatal(err)
		}
		letter, err := d.Letter()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(d.Message), "\r\n") {
			if len(line) > 76 && !strings.HasPrefix(line, "List-Unsubscribe") {
				t.Errorf("a line of %d characters: %s", len(line), line)
			}
		}

		want := token.Reader{Ref: token.Ref(r.Run), Part: 2, Index: i, Sent: r.Date}
		found := picture.FindStringSubmatch(string(letter.HTML))
		if found == nil {
			t.Fatal("there is no picture")
		}
		if got, err := c.keys.ParseReader(found[1]); err != nil || got != want {
			t.Errorf("the picture is of %+v, %v, want %+v", got, err, want)
		}

		all := clicks.FindAllStringSubmatch(string(letter.HTML), -1)
		if len(all) != 10 {
			t.Fatalf("%d links are followed, want 10", len(all))
		}
		for n, found := range all {
			got, err := c.keys.OpenClick(html.UnescapeString(found[1]))
			if err != nil || !got.Known || got.Reader != want || got.Number != n+1 || got.Of != 10 {
				t.Errorf("link %d opens as %+v, %v", n+1, got, err)
			}
			if target := "https://www.acme.example/offer?code=0A1B2C3D"; n == 0 && got.Target != target {
				t.Errorf("the link with a value leads to %s, want %s", got.Target, target)
			}
		}
	}
}

// However often a message is made it is the same, and a test copy names nobody.
func TestFollowedMessagesStayTheSame(t *testing.T) {
	t.Parallel()
	c, people := newsletter(t, "", campaign.Tracking{Opens: true, Clicks: true})
	again, _ := newsletter(t, "", campaign.Tracking{Opens: true, Clicks: true})
	var d, e Draft
	for _, r := range people {
		if err := c.Compose(&d, r); err != nil {
			t.Fatal(err)
		}
		if err := again.Compose(&e, r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(d.Message), string(e.Message)); diff != "" {
			t.Fatalf("another composer makes another message:\n%s", diff)
		}
	}

	r := people[0]
	r.Test = true
	if err := c.Compose(&d, r); err != nil {
		t.Fatal(err)
	}
	letter, err := d.Letter()
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.keys.ParseReader(picture.FindStringSubmatch(string(letter.HTML))[1])
	if err != nil || got.Ref == token.Ref(r.Run) || !got.Sent.Equal(r.Date) {
		t.Errorf("the test copy is of %+v, %v", got, err)
	}
}
