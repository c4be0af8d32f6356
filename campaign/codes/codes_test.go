package codes_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/codes"
)

var update = flag.Bool("update", false, "rewrite docs/codes.md")

func TestCodesAreExplained(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^BS(-[A-Z0-9]+)+$`)
	seen := map[codes.Code]bool{}
	for _, e := range codes.All() {
		if !form.MatchString(string(e.Code)) || seen[e.Code] {
			t.Errorf("%q is not a code of its own", e.Code)
		}
		seen[e.Code] = true
		if e.Title == "" || strings.HasSuffix(e.Title, ".") || !strings.HasSuffix(e.Means, ".") || len(e.Steps) == 0 {
			t.Errorf("%s is not explained: %+v", e.Code, e)
		}
		for _, text := range append([]string{e.Title, e.Means}, e.Steps...) {
			if strings.TrimSpace(text) != text || text == "" || strings.ContainsAny(text, "\n\t") {
				t.Errorf("%s: %q is not one line", e.Code, text)
			}
		}

		if got, ok := codes.Explain(string(e.Code)); !ok || got.Title != e.Title {
			t.Errorf("Explain(%s) = %v, %v", e.Code, got, ok)
		}
	}
}

func TestReasonsBeginWithTheirCode(t *testing.T) {
	t.Parallel()
	reason := codes.GuardBounce.Reason("%d%% of them: bounced", 7)
	if want := "BS-GUARD-BOUNCE: 7% of them: bounced"; reason != want {
		t.Errorf("got %q, want %q", reason, want)
	}

	for text, want := range map[string]codes.Code{
		reason: codes.GuardBounce, "BS-GUARD-BOUNCE": "", "BS-NO-SUCH: x": "", "by the operator": "", "": "", "a: BS-CANARY: x": "",
	} {
		if got := codes.Of(text); got != want {
			t.Errorf("CodeOf(%q) = %q, want %q", text, got, want)
		}
	}

	if !codes.Canary.ByGuard() || codes.Operator.ByGuard() || codes.Code("").ByGuard() {
		t.Error("guards are told from persons wrongly")
	}
}

// TestCodesDocument holds docs/codes.md against the table; -update rewrites it.
func TestCodesDocument(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Codes\n\nA reason begins with a stable code: of a run that is paused, of an account that is closed, of a finding. " +
		"`broadside explain CODE`\nprints what stands here. Codes are never given another meaning. This page is made from the table in `campaign/codes` " +
		"(`go test ./campaign/codes -update`).\n")
	for _, e := range codes.All() {
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n", e.Code, e.Title, e.Means)
		for _, step := range e.Steps {
			fmt.Fprintf(&b, "- %s\n", step)
		}
	}

	const file = "../../docs/codes.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// A remedy stands behind a reason in one line.
func TestRemedies(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.AccountQuota, codes.AccountSuspended, codes.AccountSender, codes.AccountRelay} {
		if text := code.Remedy(); text == "" || strings.HasSuffix(text, ".") || strings.ContainsAny(text, "\n") {
			t.Errorf("%s: %q is not the end of a line", code, text)
		}
	}
	if text := codes.AccountBusy.Remedy(); text != "" {
		t.Errorf("an account that opens by itself: %q", text)
	}
}
