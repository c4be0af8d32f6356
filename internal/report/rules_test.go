package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/internal/report"
)

// TestDocument pins the contract to the byte: keys, their order, nulls.
func TestDocument(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 10, 1, 9, 0, 0, 999_999_999, time.FixedZone("CEST", 7200))
	got, err := json.Marshal([]report.Run{{
		Run: "a-20261001T070000Z", Campaign: "a", State: campaign.Running, Total: 45,
		Counts: campaign.Counts{
			campaign.Accepted: 1, campaign.Deferred: 2, campaign.Bounced: 3, campaign.Failed: 4, campaign.Suppressed: 5,
			campaign.Uncertain: 6, campaign.Cancelled: 7, campaign.Pending: 3, campaign.Issued: 5, campaign.Sending: 9,
		},
		After:     report.After{Delivered: 1, Bounced: 2, Blocked: 3, Complained: 4, Unsubscribed: 5},
		Skipped:   campaign.Skipped{Invalid: 1, Duplicate: 2, Excluded: 3},
		CreatedAt: at, FirstAcceptedAt: at, LastAcceptedAt: at.Add(3 * time.Second),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"run":"a-20261001T070000Z","campaign":"a","state":"running","total":45,` +
		`"counts":{"accepted":1,"deferred":2,"bounced":3,"failed":4,"suppressed":5,"uncertain":6,"cancelled":7,"pending":8,"sending":9},` +
		`"after":{"delivered":1,"bounced":2,"blocked":3,"complained":4,"unsubscribed":5},` +
		`"skipped":{"invalid":1,"duplicate":2,"excluded":3},` +
		`"created_at":"2026-10-01T07:00:00.999Z","first_accepted_at":"2026-10-01T07:00:00.999Z","finished_at":null,"rate_per_s":0.3,"waiting":[]}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		accepted    int64
		first, last time.Time
		want        float64
	}{
		"usual":          {1000, at, at.Add(4 * time.Second), 250},
		"slow":           {3, at, at.Add(time.Hour), 3.0 / 3600},
		"nobody":         {0, time.Time{}, time.Time{}, 0},
		"first unknown":  {5, time.Time{}, at, 0},
		"last unknown":   {5, at, time.Time{}, 0},
		"one":            {1, at, at, 0},
		"clock put back": {9, at, at.Add(-time.Second), 0},
	} {
		r := report.Run{Counts: campaign.Counts{campaign.Accepted: c.accepted}, FirstAcceptedAt: c.first, LastAcceptedAt: c.last}
		if got := r.Rate(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestDoubts holds the promise that a report which does not add up says so,
// in every form that people read.
func TestDoubts(t *testing.T) {
	t.Parallel()
	counts := func(n int64) campaign.Counts { return campaign.Counts{campaign.Accepted: n} }
	for name, c := range map[string]struct {
		run  report.Run
		want string // empty: no doubt
	}{
		"adds up":        {report.Run{Total: 9, Counts: counts(9), Parts: []report.Part{{"gmail", 4, counts(4)}, {"other", 5, counts(5)}}}, ""},
		"no parts known": {report.Run{Total: 9, Counts: counts(9)}, ""},
		"states":         {report.Run{Total: 9, Counts: counts(8)}, "The states add up to 8 recipients, not to 9."},
		"states of part": {report.Run{Total: 9, Counts: counts(9), Parts: []report.Part{{"gmail", 9, counts(7)}}}, "The states of gmail add up to 7 recipients, not to 9."},
		"parts":          {report.Run{Total: 9, Counts: counts(9), Parts: []report.Part{{"gmail", 4, counts(4)}}}, "The providers add up to 4 recipients, not to 9."},
		"expanding":      {report.Run{State: campaign.Expanding, Total: 9}, ""},
		"never ready":    {report.Run{State: campaign.RunFailed, Total: 9}, ""},
	} {
		for form, got := range forms(t, c.run) {
			if form != "csv" && (c.want == "") == strings.Contains(got, "add up to") {
				t.Errorf("%s as %s: want doubt %q, got\n%s", name, form, c.want, got)
			}
			if form != "csv" && !strings.Contains(got, c.want) {
				t.Errorf("%s as %s: want %q in\n%s", name, form, c.want, got)
			}
		}
	}
}

// TestComplaintWarnings: providers act against senders that too many complain about, so
// every form that people read says where it is so.
func TestComplaintWarnings(t *testing.T) {
	t.Parallel()
	run := func(gmail, complaints int64) report.Run {
		accepted := func(n int64) campaign.Counts { return campaign.Counts{campaign.Accepted: n} }
		return report.Run{
			Total: 10_000, Counts: accepted(10_000), After: report.After{Complained: complaints},
			Parts:   []report.Part{{"gmail", gmail, accepted(gmail)}, {"other", 10_000 - gmail, accepted(10_000 - gmail)}},
			Returns: []report.Return{{"2026-10-01", "gmail", campaign.EventComplained, 1}, {"2026-10-02", "gmail", campaign.EventComplained, complaints - 1}},
		}
	}
	for name, c := range map[string]struct {
		run  report.Run
		want []string
	}{
		"healthy":              {run(5000, 5), nil},
		"at a provider":        {run(2000, 5), []string{"0.25% of 2000 at gmail complained: providers expect less than 0.1%."}},
		"in all":               {run(9000, 12), []string{"0.12% of 10000 recipients complained", "0.13% of 9000 at gmail complained"}},
		"two are no rate":      {run(200, 2), nil},
		"few at the provider":  {run(99, 5), nil},
		"exactly what is good": {run(5000, 10), []string{"0.2% of 5000 at gmail"}},
	} {
		for form, got := range forms(t, c.run) {
			if form == "csv" {
				continue
			}
			if n := strings.Count(got, "complained: providers"); n != len(c.want) {
				t.Errorf("%s as %s: %d warnings, want %q in\n%s", name, form, n, c.want, got)
			}
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s as %s: want %q in\n%s", name, form, want, got)
				}
			}
		}
	}
}

// forms renders a run in every form that is not JSON.
func forms(t testing.TB, r report.Run) map[string]string {
	t.Helper()
	got := map[string]string{}
	for form, render := range map[string]func(io.Writer, ...report.Run) error{
		"html": report.HTML, "md": report.Markdown, "csv": report.CSV,
		"text": func(w io.Writer, runs ...report.Run) error { return report.Text(w, runs[0], nil) },
	} {
		var b bytes.Buffer
		if err := render(&b, r); err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		got[form] = b.String()
	}
	return got
}

func TestShares(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		accepted, total int64
		want            string
	}{
		{0, 5, "0%"},
		{5, 5, "100%"},
		{1, 1_000_000, "<0.1%"},
		{999_999, 1_000_000, ">99.9%"},
		{1, 2000, "0.1%"},
		{19_989, 20_000, "99.9%"},
		{1, 3, "33.3%"},
	} {
		got := forms(t, report.Run{Total: c.total, Counts: campaign.Counts{campaign.Accepted: c.accepted, campaign.Pending: c.total - c.accepted}})["text"]
		line := regexp.MustCompile(`(?m)^  accepted +\d+ +(\S+)`).FindStringSubmatch(got)
		if line == nil || line[1] != c.want {
			t.Errorf("%d of %d: got %q, want %q", c.accepted, c.total, line, c.want)
		}
	}
}

// TestForeignText puts into every text of a run what must not get out as it is.
func TestForeignText(t *testing.T) {
	t.Parallel()
	const foreign = "=HYPERLINK(\"x\") <script>alert(1)</script> | a\x1b[2J\r\nb\u202ec <img src=//tracker.example>"
	r := october()
	r.Subject, r.From, r.Audience, r.Topic, r.Reason, r.Accounts = foreign, foreign, foreign, foreign, foreign, []string{foreign}
	r.Replies[0].Text, r.Replies[0].Enhanced = foreign, foreign
	for form, got := range forms(t, r) {
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s holds %q", form, got[i:min(len(got), i+10)])
		}
		if form == "html" && (strings.Contains(got, "<script") || strings.Contains(got, "<img")) {
			t.Errorf("markup got through:\n%s", got)
		}
		if form == "md" && regexp.MustCompile(`(?:^|[^\\])(<|=\|)`).MatchString(got) {
			t.Errorf("markup got through:\n%s", got)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(forms(t, r)["csv"])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range rows[1] {
		if strings.HasPrefix(value, "=") {
			t.Errorf("column %s is a formula: %s", rows[0][i], value)
		}
	}
}

// TestNoAddresses: pages that are forwarded hold no address at all, and need
// nothing from elsewhere.
func TestNoAddresses(t *testing.T) {
	t.Parallel()
	address := regexp.MustCompile(`[\w.]+(@|%40)[\w.]+`)
	var all []report.Run
	for _, r := range []report.Run{october(), november()} {
		all = append(all, r)
		for form, got := range forms(t, r) {
			if form == "text" { // shows the sender as it is
				got = strings.ReplaceAll(got, "news@acme.example", "")
			}
			if found := address.FindString(got); found != "" {
				t.Errorf("%s as %s holds %s", r.Run, form, found)
			}
		}
	}
	var page bytes.Buffer
	if err := report.HTML(&page, all...); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"<script", "<link", "src=", "url(", `href="h`, "ZgotmplZ"} {
		if strings.Contains(page.String(), s) {
			t.Errorf("the page holds %s", s)
		}
	}
}

func TestNoRuns(t *testing.T) {
	t.Parallel()
	if err := report.HTML(io.Discard); err == nil {
		t.Error("HTML of nothing: no error")
	}
	if err := report.Markdown(io.Discard); err == nil {
		t.Error("Markdown of nothing: no error")
	}
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	full := errors.New("disk is full")
	r, w := io.Pipe()
	r.CloseWithError(full)
	for form, err := range map[string]error{
		"text": report.Text(w, october(), nil), "html": report.HTML(w, october()), "csv": report.CSV(w, october()), "md": report.Markdown(w, october()),
	} {
		if !errors.Is(err, full) {
			t.Errorf("%s: got %v, want %v", form, err, full)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":              "",
		"5.1.1 unknown": "5.1.1 unknown",
		"<reader@example.com>: Recipient address rejected":          "<(address)>: Recipient address rejected",
		"reader@example.com: no mailbox. Also other@example.com.":   "(address): no mailbox. Also (address).",
		`"odd reader"@example.com is gone`:                          "(address) is gone",
		"o'reader+tag=x@xn--mnchen-3ya.example, over quota":         "(address), over quota",
		"SRS0=ab=cd=example.com=reader@forward.example unknown":     "(address) unknown",
		"lesér@münchen.example":                                     "(address)",
		"reader＠example.com":                                        "(address)",
		"to=<reader@[192.0.2.1]> refused":                           "to=<(address)[192.0.2.1]> refused",
		"see https://help.example/r?p=1&to=reader%40example.com&x=": "see https://help.example/r?p=1&(address)&x=",
		"user reader@ unknown":                                      "user (address) unknown",
		"two\r\nlines\tand \x00 more":                               "two lines and more",
		"broken \xff text":                                          "broken \ufffd text",
		"\u202eevil\x1b[0m":                                         "evil[0m",
		"👩\u200d💻 می\u200cخواهم":                                    "👩\u200d💻 می\u200cخواهم",
	} {
		if got := report.Redact(text); got != want {
			t.Errorf("Redact(%q): got %q, want %q", text, got, want)
		}
	}
}

// FuzzRedact: whatever a server says is one printable line without an
// address, and redacting twice changes nothing.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"<reader@example.com>: gone", `"a b"@c`, "a%40b.example", "a%\x0040b", "\x1b[31m\r\n", "\"@\"@", "\xff@\xfe", "a\u202e@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := report.Redact(text)
		if strings.ContainsAny(got, "@＠﹫") || strings.Contains(got, "%40") {
			t.Errorf("address left in %q", got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d' }) {
			t.Errorf("not printable: %q", got)
		}
		if again := report.Redact(got); again != got {
			t.Errorf("again: %q, first %q", again, got)
		}
	})
}
