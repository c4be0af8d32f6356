package main

import (
	"os/exec"
	"strings"
	"testing"
)

// rank orders the rooms: a package may import only packages of a lower rank,
// so that imports point one way and engines never import each other.
var rank = map[string]int{
	"internal/input": -1, // whoever reads a file

	"configs/units":             -2,
	"configs/strictyaml":        -1,
	"campaign/codes":            0,
	"campaign/where":            0,
	"campaign/window":           0,
	"campaign/zones":            0,
	"campaign":                  1,
	"configs":                   2,
	"campaign/address":          2,
	"campaign/token":            2,
	"campaign/ledger":           2,
	"campaign/ledger/replytext": 0,
	"campaign/feed":             2,
	"campaign/suppression":      4, // read from files as audiences are
	"campaign/audience":         3, // of addresses
	"campaign/sources/webfile":  4,
	"campaign/sources/postgres": 4,
	"campaign/sources":          5,

	"internal/standardwebhooks": 0,

	"internal/failure":   0,
	"internal/publicnet": 0,
	"internal/outage":    0,
	"internal/wire":      0,
	"internal/mailfile":  0,
	"internal/presence":  4,
	"internal/crash":     3, // takes addresses out of what it logs
	"internal/sealed":    0,

	"internal/queue":     4,
	"internal/store":     4,
	"internal/sink":      4,
	"internal/report":    4,
	"throttle":           4,
	"templates/message":  3,
	"templates":          4,
	"templates/compose":  5,
	"sender/reply":       4,
	"sender/bounce":      5, // judges by the rules of replies
	"internal/feedback":  5,
	"internal/tracking":  5,
	"internal/hooks":     5,
	"internal/mailbox":   5,
	"sender/oauth":       4,
	"sender/smtppool":    5, // says what a reply is
	"scheduler/calendar": 4,

	"internal/outgoing":  6, // of runs and what came back
	"sender":             6,
	"scheduler":          6,
	"internal/runs":      6, // of whatever made them
	"internal/account":   6,
	"internal/subscribe": 6,
	"internal/courier":   7, // by accounts
	"internal/single":    6, // by any courier
	"internal/access":    4,
	"internal/api":       7, // of single messages
	"internal/web":       7,
	"internal/web/theme": 2,
	"internal/doctor":    7, // looks at all of it
	"internal/lanes":     7, // of accounts
	"internal/person":    7, // in runs too
	"internal/backup":    7, // of schedules too
	"internal/forecast":  5, // of limits

	"internal/mailbox/listener": 6,

	"internal/letter":  7,
	"internal/launch":  8, // reads letters
	"internal/project": 3,
	"internal/app":     9,
	"internal/demo":    10,
	"internal/preview": 10,
	"internal/bench":   10,
	"cmd/broadside":    11,

	"internal/failpoint": 0, // empty in a binary without the tag "faults"

	// Not in the binary.
	"internal/testkit":         4,
	"internal/testkit/recsink": 0,
	"internal/e2e":             11,
	"tools/benchset":           11,
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "broadside/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}

	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 10 {
		t.Fatalf("go list found %d packages", len(lines))
	}

	for _, line := range lines {
		imports := strings.Fields(line)
		from := strings.TrimPrefix(imports[0], "broadside/")
		mine, ok := rank[from]
		if !ok {
			t.Errorf("package %s has no place in the table", from)
		}

		for _, path := range imports[1:] {
			to, ours := strings.CutPrefix(path, "broadside/")
			if !ours {
				continue
			}
			if theirs, ok := rank[to]; ok && theirs >= mine {
				t.Errorf("%s (%d) imports %s (%d)", from, mine, to, theirs)
			}
			if to == "internal/testkit" {
				t.Errorf("%s links the test kit into the binary", from)
			}
		}
	}
}

// owners says which packages may import a library that belongs to one place.
var owners = map[string][]string{
	"github.com/hibiken/asynq":           {"internal/queue"},
	"github.com/xuri/excelize/v2":        {"campaign/audience"},
	"github.com/expr-lang/expr":          {"campaign/where"},
	"github.com/jackc/pgx/v5/pgconn":     {"campaign/sources/postgres"},
	"github.com/jackc/pgx/v5/pgproto3":   {"campaign/sources/postgres"},
	"github.com/wneessen/go-mail":        {"templates/message"},
	"github.com/wneessen/go-mail/smtp":   {"sender/smtppool"},
	"github.com/spf13/cobra":             {"cmd/broadside"},
	"github.com/spf13/viper":             {"configs"},
	"github.com/chromedp/chromedp":       {}, // tests alone
	"github.com/mmcdole/gofeed":          {"campaign/feed"},
	"github.com/microcosm-cc/bluemonday": {"campaign/feed"},

	"github.com/emersion/go-imap/v2":            {"internal/mailbox"},
	"github.com/emersion/go-imap/v2/imapclient": {"internal/mailbox"},
}

func TestLibrariesHaveOnePlace(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "broadside/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}

	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		imports := strings.Fields(line)
		from := strings.TrimPrefix(imports[0], "broadside/")
		for _, path := range imports[1:] {
			allowed, ok := owners[path]
			if !ok {
				continue
			}
			found := false
			for _, a := range allowed {
				found = found || a == from
			}
			if !found {
				t.Errorf("%s imports %s, which belongs to %s", from, path, strings.Join(allowed, ", "))
			}
		}
	}
}
