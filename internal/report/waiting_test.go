package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/report"
)

func TestWaitsAreShown(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 10, 1, 7, 5, 0, 0, time.UTC)
	r := report.Run{Run: "r", State: campaign.Running, Counts: campaign.Counts{}, Waiting: []report.Wait{
		{For: report.ForAccount, What: "ses", Code: codes.AccountLogin, Reason: "BS-ACCOUNT-LOGIN: 535 no such user ada@example.org", Until: until},
		{For: report.ForWorker, Code: codes.NoWorker, Reason: "BS-NO-WORKER: no worker is alive"},
	}}
	var text bytes.Buffer
	if err := report.Text(&text, r, nil); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"waits for account ses until 2026-10-01T07:05:00Z: BS-ACCOUNT-LOGIN: 535", "waits for a worker: BS-NO-WORKER: no worker is alive\n"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("the text does not contain %q:\n%s", line, text.String())
		}
	}
	doc, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `"waiting":[{"for":"account","what":"ses","code":"BS-ACCOUNT-LOGIN","until":"2026-10-01T07:05:00.000Z",`
	if !strings.Contains(string(doc), want) || !strings.Contains(string(doc), `"code":"BS-NO-WORKER","until":null`) {
		t.Errorf("got %s, want it to contain %s and a worker without a time", doc, want)
	}
	for _, out := range []string{text.String(), string(doc)} {
		if strings.Contains(out, "ada@example.org") {
			t.Errorf("an address is shown: %s", out)
		}
	}
}
