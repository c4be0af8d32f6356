package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestUpgrade goes on with what an older binary began: a run that was paused in
// its middle and a resend that was paused before its first message are finished
// with no recipient lost and none mailed twice; lists, suppressions, schedules
// and a backup file are read as they were written.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	if *oldBinary != "" {
		makeFixture(t)
	}

	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), "")})
	head := loadFixture(t, w)

	sameStores(t, w, head)
	sameBackup(t, w, head)

	w.worker()
	w.run(0, "run", "resume", head.News)
	w.run(0, "run", "resume", head.Resend)
	news := w.finished(head.News, time.Minute)
	resend := w.finished(head.Resend, time.Minute)

	got := sink.Accepted()
	for i := range upgradeNews {
		to := newsAddress(i)
		bounced := strings.HasSuffix(to, upgradeBounced)
		switch n := head.Sent[to] + got[to]; {
		case n > 1:
			t.Errorf("%s has the message %d times", to, n)
		case n == 0 && !bounced:
			t.Errorf("%s has no message", to)
		}
	}

	if len(got) == 0 || news.Counts["accepted"]+news.Counts["bounced"] != upgradeNews || news.Counts["uncertain"] != 0 {
		t.Errorf("counts of the run that was resumed: %v, and %d messages arrived", news.Counts, len(got))
	}

	if resend.Counts["accepted"] != int64(len(head.Unsure)) {
		t.Errorf("counts of the resend: %v, want %d accepted", resend.Counts, len(head.Unsure))
	}

	sameMessages(t, sink, head)
}

// sameMessages checks that a resend has the Message-ID of the first message.
func sameMessages(t *testing.T, sink *testkit.RecSink, head fixtureHead) {
	t.Helper()
	resent := map[string]int{}
	for _, r := range sink.Records() {
		id, ok := head.Unsure[r.Rcpt]
		if !ok {
			continue
		}
		resent[r.Rcpt]++
		if r.ID != id {
			t.Errorf("%s was resent as %s, want the Message-ID %s of the first", r.Rcpt, r.ID, id)
		}
	}

	for to := range head.Unsure {
		if resent[to] != 1 {
			t.Errorf("%s was resent %d times, want once", to, resent[to])
		}
	}
}

// sameStores checks lists, suppressions, schedules and finished runs.
func sameStores(t *testing.T, w *world, head fixtureHead) {
	t.Helper()
	list, _ := w.run(0, "list", "export", "readers")
	supp, _ := w.run(0, "suppression", "export")
	schedules, _ := w.run(0, "campaign", "ls")
	if list != head.List {
		t.Errorf("list export:\n%s\nthe older binary said:\n%s", list, head.List)
	}

	if !slices.Equal(sorted(supp), sorted(head.Supp)) { // they are in no order
		t.Errorf("suppression export:\n%s\nthe older binary said:\n%s", supp, head.Supp)
	}
	if !strings.Contains(schedules, "yearly") || !strings.Contains(schedules, "someday") {
		t.Errorf("campaign ls has not both schedules:\n%s", schedules)
	}
	if d := w.show(head.First); d.Total != upgradeFirst || d.Counts["uncertain"] != int64(len(head.Unsure)) {
		t.Errorf("the run of before: %+v", d)
	}

	w.letter("first", "")
	if _, stderr := w.run(6, "campaign", "launch", "first.yaml", "--yes"); !strings.Contains(stderr, head.First) {
		t.Errorf("a second launch of a campaign of before does not name its run %s:\n%s", head.First, stderr)
	}
}

// sameBackup restores the older binary's backup into a namespace of its own.
func sameBackup(t *testing.T, w *world, head fixtureHead) {
	t.Helper()
	file, err := filepath.Abs(fixtureBackup)
	if err != nil {
		t.Fatal(err)
	}

	other := *w
	other.env = append(other.env, "BROADSIDE_NAMESPACE=restored")
	other.run(0, "restore", file)
	if list, _ := other.run(0, "list", "export", "readers"); list != head.List {
		t.Errorf("list export after restore:\n%s", list)
	}

	schedules, _ := other.run(0, "campaign", "ls")
	if !strings.Contains(schedules, "yearly") || !strings.Contains(schedules, "someday") {
		t.Errorf("campaign ls after restore:\n%s", schedules)
	}

	if out, _ := other.run(0, "suppression", "check", upgradeSuppressed); !strings.Contains(out, upgradeSuppressed) {
		t.Errorf("suppression check after restore:\n%s", out)
	}
}

// sorted returns the lines of a text in order.
func sorted(text string) []string { return slices.Sorted(strings.Lines(text)) }
