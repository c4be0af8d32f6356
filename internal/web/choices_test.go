package web_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/store"
	"broadside/internal/testkit"
	"broadside/internal/web"

	"github.com/google/go-cmp/cmp"
)

// three are the topics of an installation.
var three = map[string]configs.Topic{
	"events": {Name: "Events"},
	"news":   {Name: "Acme <News>", Description: "What is new, once a month"},
	"offers": {Name: "Offers"},
}

// withTopics runs test on a site with three topics, on an embedded store and on a real
// Redis.
func withTopics(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) (*store.Store, error){
		"embedded": func(t *testing.T) (*store.Store, error) { return store.OpenEmbedded(t.Context(), nil) },
		"redis": func(t *testing.T) (*store.Store, error) {
			return store.Open(t.Context(), store.Options{URL: testkit.Redis(t)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := open(t)
			if err != nil {
				t.Fatalf("open store: %v", err)
			}
			t.Cleanup(func() { st.Close() })
			test(t, newSite(t, web.Config{Ready: ready, Topics: three}, suppression.New(st.Client(), "bs", st.Lua)))
		})
	}
}

var buttonTag = regexp.MustCompile(`<button type="submit" name="([^"]*)" value="([^"]*)"`)

// buttons returns the buttons of a page as NAME=VALUE, in the order in which they get the
// focus.
func buttons(page string) []string {
	var found []string
	for _, b := range buttonTag.FindAllStringSubmatch(page, -1) {
		found = append(found, b[1]+"="+b[2])
	}
	return found
}

// press sends the form of a button and returns the page that answers.
func (s *site) press(t *testing.T, path, button string) string {
	t.Helper()
	name, value, _ := strings.Cut(button, "=")
	res, page := s.do(t, "POST", path, form, url.Values{name: {value}}.Encode())
	if res.StatusCode != http.StatusOK {
		t.Fatalf("press %s: got %d", button, res.StatusCode)
	}
	return page
}

// leftScopes returns the scopes that the reader has left, in order.
func (s *site) leftScopes(t *testing.T) []string {
	t.Helper()
	scopes := map[string]bool{}
	for _, e := range s.suppressed(t) {
		scopes[e.Scope] = true
	}
	return slices.Sorted(maps.Keys(scopes))
}

func TestEachTopicIsLeftAndTakenBack(t *testing.T) {
	t.Parallel()
	withTopics(t, func(t *testing.T, s *site) {
		path := token.Path + s.keys.Seal(link)
		for _, step := range []struct {
			press  string // empty: only look
			says   string
			offers []string
			left   []string
		}{
			{"", "Unsubscribe from Acme &lt;News&gt;?", []string{"leave=news", "leave=events", "leave=offers", "leave=*"}, nil},
			{
				"leave=offers", "nothing more of Offers to r***@example.com",
				[]string{"undo=offers", "leave=news", "leave=events", "leave=*"},
				[]string{"topic:offers"},
			},
			{"", "Unsubscribe from Acme &lt;News&gt;?", []string{"leave=news", "leave=events", "undo=offers", "leave=*"}, []string{"topic:offers"}},
			{
				"leave=*", "nothing more of our messages",
				[]string{"undo=*"},
				[]string{"all", "topic:offers"},
			},
			{"", "You are unsubscribed", []string{"undo=*"}, []string{"all", "topic:offers"}},
			{
				"undo=*", "We will send our messages to r***@example.com as before",
				[]string{"leave=*", "leave=news", "leave=events", "undo=offers"},
				[]string{"topic:offers"},
			},
			{"undo=offers", "You are subscribed again", []string{"leave=offers", "leave=news", "leave=events", "leave=*"}, nil},
			{"undo=offers", "You are subscribed again", []string{"leave=offers", "leave=news", "leave=events", "leave=*"}, nil},
			{"leave=news", "You are unsubscribed", []string{"undo=news", "leave=events", "leave=offers", "leave=*"}, []string{"topic:news"}},
		} {
			var page string
			if step.press == "" {
				_, page = s.do(t, "GET", path, "", "")
			} else {
				page = s.press(t, path, step.press)
			}
			if !strings.Contains(page, step.says) {
				t.Errorf("%q: the page lacks %q:\n%s", step.press, step.says, page)
			}
			if diff := cmp.Diff(step.offers, buttons(page)); diff != "" {
				t.Errorf("%q: buttons (-want +got):\n%s", step.press, diff)
			}
			if diff := cmp.Diff(step.left, s.leftScopes(t)); diff != "" {
				t.Errorf("%q: left (-want +got):\n%s", step.press, diff)
			}
		}
	})
}

// A link takes back what was left by it, and nothing else.
func TestUndoLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	withTopics(t, func(t *testing.T, s *site) {
		path := token.Path + s.keys.Seal(link)
		news := suppression.Topic("news")
		for _, e := range []suppression.Entry{
			{Scope: news, Reason: suppression.ReasonComplaint, Source: "hook", Run: link.Run},
			{Scope: news, Reason: suppression.ReasonBounce, Source: "smtp", Run: link.Run},
			{Scope: news, Reason: suppression.ReasonManual, Source: "operator"},
			{Scope: news, Reason: suppression.ReasonUnsubscribe, Source: "one-click", Run: "another-run"},
			{Scope: news, Reason: suppression.ReasonUnsubscribe, Source: "import"},
		} {
			e.Address = reader
			if _, err := s.list.Add(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			_, page := s.do(t, "GET", path, "", "")
			if strings.Contains(page, `name="undo"`) {
				t.Errorf("%s by %s: the page offers to undo it", e.Reason, e.Source)
			}
			if page := s.press(t, path, "undo=news"); !strings.Contains(page, "Nothing has changed") {
				t.Errorf("%s by %s: undo answers\n%s", e.Reason, e.Source, page)
			}
			if got := s.suppressed(t); len(got) != 1 || got[0].Reason != e.Reason {
				t.Errorf("%s by %s: on the list is %+v", e.Reason, e.Source, got)
			}
			if _, err := s.list.Rm(t.Context(), reader); err != nil {
				t.Fatal(err)
			}
		}

		// A complaint that comes after the unsubscribe stays too.
		s.press(t, path, "leave=*")
		if _, err := s.list.Add(t.Context(), suppression.Entry{Address: reader, Reason: suppression.ReasonComplaint, Source: "hook"}); err != nil {
			t.Fatal(err)
		}
		if page := s.press(t, path, "undo=*"); !strings.Contains(page, "Nothing has changed") {
			t.Errorf("undo after a complaint answers\n%s", page)
		}
		if got := s.suppressed(t); len(got) != 1 || got[0].Reason != suppression.ReasonComplaint {
			t.Errorf("on the list is %+v, want the complaint", got)
		}
	})
}

// The mail program's button can be taken back on the page of the same link.
func TestOneClickIsTakenBack(t *testing.T) {
	t.Parallel()
	withTopics(t, func(t *testing.T, s *site) {
		path := token.Path + s.keys.Seal(link)
		if res, page := s.do(t, "POST", path, form, "List-Unsubscribe=One-Click"); res.StatusCode != 200 || buttons(page) != nil {
			t.Errorf("one-click: got %d with the buttons %v", res.StatusCode, buttons(page))
		}
		s.press(t, path, "undo=news")
		if got := s.leftScopes(t); got != nil {
			t.Errorf("left is %v, want nothing", got)
		}
	})
}

// Only topics of the installation and that of the link can be left.
func TestOnlyKnownTopicsAreLeft(t *testing.T) {
	t.Parallel()
	withTopics(t, func(t *testing.T, s *site) {
		path := token.Path + s.keys.Seal(token.Unsubscribe{Topic: "retired", Run: link.Run, Address: reader})
		for _, body := range []string{"leave=", "leave=unknown", "undo=unknown", "leave=News", "leave=**"} {
			if res, page := s.do(t, "POST", path, form, body); res.StatusCode != 400 || !strings.Contains(page, `value="retired"`) {
				t.Errorf("%s: got %d, want 400 and the button", body, res.StatusCode)
			}
		}
		s.press(t, path, "leave=retired")
		if diff := cmp.Diff([]string{"topic:retired"}, s.leftScopes(t)); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	})
}

// away is a list that does not answer.
type away struct{}

func (away) Check(context.Context, ...string) ([]suppression.Result, error) {
	return nil, errors.New("away")
}

func (away) Undo(context.Context, suppression.Entry) (bool, error) { return false, errors.New("away") }

// While the store is away, a page offers what it always can, and says nothing that it
// does not know.
func TestPagesWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	s := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready, Topics: three, List: away{}}, nil)
	path := token.Path + s.keys.Seal(link)
	_, page := s.do(t, "GET", path, "", "")
	if diff := cmp.Diff([]string{"leave=news", "leave=events", "leave=offers", "leave=*"}, buttons(page)); diff != "" || strings.Contains(page, "Subscribed") {
		t.Errorf("buttons (-want +got):\n%s%s", diff, page)
	}
	res, page := s.do(t, "POST", path, form, "undo=news")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !slices.Equal(buttons(page), []string{"undo=news"}) {
		t.Errorf("undo: got %d with %v, want 503 and the same button", res.StatusCode, buttons(page))
	}
}
