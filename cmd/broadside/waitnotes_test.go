package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/report"
)

// A wait is told of once when it begins and once when it is over, however often
// it is looked at, and although an account opens for a moment to be tried.
func TestWaitNotesAreOfChangesOnly(t *testing.T) {
	t.Parallel()
	login := report.Wait{For: report.ForAccount, What: "ses", Code: codes.AccountLogin, Reason: "BS-ACCOUNT-LOGIN: 535"}
	away := report.Wait{For: report.ForAccount, What: "ses", Code: codes.AccountAway, Reason: "BS-ACCOUNT-AWAY: refused"}
	worker := report.Wait{For: report.ForWorker, Code: codes.NoWorker, Reason: "BS-NO-WORKER: none"}
	var n waitNotes
	began := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after time.Duration
		now   []report.Wait
		want  []string // parts of the lines
	}{
		{0, nil, nil},
		{1 * time.Second, []report.Wait{login}, []string{"waits for account ses: BS-ACCOUNT-LOGIN"}},
		{2 * time.Second, []report.Wait{login}, nil},
		{3 * time.Second, nil, nil},
		{4 * time.Second, []report.Wait{login, worker}, []string{"waits for a worker: BS-NO-WORKER"}},
		{5 * time.Second, []report.Wait{away, worker}, []string{"waits for account ses: BS-ACCOUNT-AWAY"}},
		{6 * time.Second, []report.Wait{worker}, nil},
		{11 * time.Second, []report.Wait{worker}, []string{"waits no more for account ses"}},
		{12 * time.Second, []report.Wait{worker}, nil},
		{17 * time.Second, nil, []string{"waits no more for a worker"}},
		{18 * time.Second, []report.Wait{worker}, []string{"waits for a worker"}},
	} {
		got := n.changes(step.now, began.Add(step.after))
		if !slices.EqualFunc(got, step.want, strings.Contains) {
			t.Errorf("after %v: got %q, want lines with %q", step.after, got, step.want)
		}
	}
}
