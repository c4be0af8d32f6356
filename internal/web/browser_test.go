package web_test

import (
	"context"
	_ "embed"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/internal/store"
	"broadside/internal/testkit"
	"broadside/internal/web"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

var screenshots = flag.String("screenshots", "", "directory for pictures of the pages, to look at")

// axe finds what keeps people with disabilities from using a page
// (github.com/dequelabs/axe-core, MPL-2.0).
//
//go:embed testdata/axe/axe.min.js
var axe string

// axeRun returns what is serious or critical on the page, a line for each.
const axeRun = `axe.run().then(r => r.violations
	.filter(v => v.impact === "serious" || v.impact === "critical")
	.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html).join(" ")).join("\n"))`

// browserWithin bounds a test in a browser; on a quiet machine it takes some 20 s.
const browserWithin = 5 * time.Minute

// chromium starts a browser and returns the context of its first page.
func chromium(t *testing.T) context.Context {
	t.Helper()
	testkit.NeedsServer(t)
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("chromium is missing: apt-get install chromium: %v", err)
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), browserWithin) // until after Cleanup
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // waits for its end
			t.Errorf("end the browser: %v", err)
		}
	})

	return ctx
}

// run runs an action on the open page and returns what it returns.
func run[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// checkPage looks at the page that is open: it fits into the width, and axe finds nothing
// serious.
func checkPage(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	headings := run(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("h1").length`))
	overflow := run(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	run(t, ctx, chromedp.Evaluate[chromedp.Void](axe))
	violations := run(t, ctx, chromedp.Evaluate[string](axeRun, chromedp.EvalAwaitPromise))
	if headings != 1 || overflow > 0 || violations != "" {
		t.Errorf("%s: %d headings of the first level, %d pixels too wide, axe says:\n%s", name, headings, overflow, violations)
	}
	if *screenshots != "" {
		file := filepath.Join(*screenshots, strings.ReplaceAll(t.Name(), "/", "_")+"-"+name+".png")
		if err := os.WriteFile(file, run(t, ctx, chromedp.FullScreenshot(100)), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// browserSite is a site with three topics on an embedded store.
func browserSite(t *testing.T) *site {
	t.Helper()
	st, err := store.OpenEmbedded(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return newSite(t, web.Config{Ready: ready, Topics: three}, suppression.New(st.Client(), "bs", st.Lua))
}

// A reader leaves topics and takes that back in a browser, on a telephone and on a wide
// screen, by day and by night.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	ctx := chromium(t)
	for _, tt := range []struct {
		name          string
		width, height int64
		scheme        string
	}{
		{"narrow-light", 390, 844, "light"},
		{"narrow-dark", 390, 844, "dark"},
		{"wide-light", 1280, 800, "light"},
		{"wide-dark", 1280, 800, "dark"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := browserSite(t)
			run(t, ctx, chromedp.EmulateViewport(tt.width, tt.height))
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: tt.scheme}},
			})
			if err != nil {
				t.Fatal(err)
			}
			run(t, ctx, chromedp.Navigate(s.http.URL+token.Path+s.keys.Seal(link)))
			checkPage(t, ctx, "ask")
			if diff := cmp.Diff([]string{"leave=news", "leave=events", "leave=offers", "leave=*"}, focused(t, ctx, 4)); diff != "" {
				t.Errorf("focus order (-want +got):\n%s", diff)
			}

			press(t, ctx, "leave=offers")
			checkPage(t, ctx, "left")
			press(t, ctx, "leave=*")
			checkPage(t, ctx, "left-all")
			press(t, ctx, "undo=*")
			press(t, ctx, "undo=offers")
			checkPage(t, ctx, "undone")
			if got := s.leftScopes(t); got != nil {
				t.Errorf("left at the end: %v", got)
			}

			run(t, ctx, chromedp.Navigate(s.http.URL+token.Path+"x"))
			checkPage(t, ctx, "broken")
		})
	}

	// An address and a name without a place to break fit on a telephone.
	s := newSite(t, web.Config{
		Feedback: applier(func() error { return nil }), Ready: ready, Topics: three, List: away{},
		Language: func(context.Context, string) (string, error) { return "de", nil },
	}, nil)
	long := link
	long.Topic = strings.Repeat("word", 16)
	long.Address = "reader@" + strings.Repeat("long", 15) + ".example.com"
	run(t, ctx, chromedp.EmulateViewport(390, 844))
	run(t, ctx, chromedp.Navigate(s.http.URL+token.Path+s.keys.Seal(long)))
	checkPage(t, ctx, "long")
}

// press presses a button and waits for the page that answers.
func press(t *testing.T, ctx context.Context, button string) {
	t.Helper()
	name, value, _ := strings.Cut(button, "=")
	selector := chromedp.CSS(`button[name="` + name + `"][value="` + value + `"]`)
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(selector)); err != nil {
		t.Fatalf("press %s: %v", button, err)
	}
}

// focused presses Tab n times and returns the buttons that got the focus.
func focused(t *testing.T, ctx context.Context, n int) []string {
	t.Helper()
	var names []string
	for range n {
		run(t, ctx, chromedp.KeyEvent("\t"))
		names = append(names, run(t, ctx, chromedp.Evaluate[string](`document.activeElement.name + "=" + document.activeElement.value`)))
	}
	return names
}
