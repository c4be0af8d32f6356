package lanes_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/codes"
	"broadside/internal/failure"
	"broadside/internal/lanes"
	"broadside/throttle"
)

func TestListShowsWhatIsNotOpenHasWorkOrLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.slow("ses-main/gmail")
	w.change("spare/acme.example", func(l throttle.Lane) throttle.Lane {
		return l.Slow(w.now, throttle.Signal{Rate: 20, Block: true, Code: string(codes.LanePaused), Reason: "blocked"})
	})
	w.change("spare/yahoo", func(l throttle.Lane) throttle.Lane { // known, and open again
		return l.Slow(w.now, throttle.Signal{Rate: 20, Block: true}).Reset()
	})
	if ok, err := w.LaneControl.Conns.Acquire(ctx, "ses-main/gmail", "w1", 4, 1); !ok || err != nil {
		t.Fatalf("acquired %v, %v", ok, err)
	}
	w.run("news-1", "spare", map[int]int{0: 2, 2: 3})
	w.run("news-2", "spare", map[int]int{2: 4})
	w.run("news-3", "ses-main", map[int]int{1: 5})
	if err := w.Runs.Cancel(ctx, "news-1"); err != nil {
		t.Fatal(err)
	}

	all, err := w.LaneControl.List(ctx, w.now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) string { return w.now.Add(d).Format("2006-01-02T15:04:05.000Z") }
	want := []string{
		`{"account":"ses-main","provider":"gmail","state":"slowed","rate_per_s":10,"ceiling_per_s":20,"connections":1,"queued":5,"code":"BS-LANE-SLOWED","reason":"too fast","since":"` + at(0) + `","until":"` + at(time.Minute) + `"}`,
		`{"account":"ses-main","provider":"slow.example","state":"open","rate_per_s":1,"ceiling_per_s":1,"connections":null,"queued":null,"code":"","reason":"","since":null,"until":null}`,
		`{"account":"spare","provider":"acme.example","state":"paused","rate_per_s":0,"ceiling_per_s":null,"connections":null,"queued":null,"code":"BS-LANE-PAUSED","reason":"blocked","since":"` + at(0) + `","until":"` + at(5*time.Minute) + `"}`,
		`{"account":"spare","provider":"microsoft","state":"open","rate_per_s":null,"ceiling_per_s":null,"connections":null,"queued":4,"code":"","reason":"","since":null,"until":null}`,
	}
	if diff := cmp.Diff("["+strings.Join(want, ",\n")+"]", strings.ReplaceAll(string(text), "},{", "},\n{")); diff != "" {
		t.Errorf("lanes (-want +got):\n%s", diff)
	}
}

func TestALaneThatCannotBeReadIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.Launcher.Store.Client()
	if err := client.HSet(t.Context(), w.Config.Namespace+":{acct:spare}:pace", "yahoo", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if l := w.list()["spare/yahoo"]; l.Code != string(codes.BrokenState) {
		t.Errorf("got %+v", l)
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.slow("ses-main/gmail")
	gmail := w.name("ses-main/gmail")
	for range 2 { // once more changes nothing
		l, err := w.LaneControl.Pause(ctx, w.now, gmail)
		if err != nil || l.State != throttle.LaneClosed || l.Code != string(codes.LaneClosed) || *l.Rate != 0 || !l.Until.IsZero() || !strings.Contains(l.Reason, "lane resume ses-main/gmail") {
			t.Errorf("paused is %+v, %v", l, err)
		}
	}
	if diff := cmp.Diff(throttle.LaneClosed, w.list()["ses-main/gmail"].State); diff != "" {
		t.Error(diff)
	}
	l, err := w.LaneControl.Resume(ctx, w.now, gmail)
	if err != nil || l.State != throttle.LaneSlowed || *l.Rate != 10 || l.Code != string(codes.LaneSlowed) {
		t.Errorf("resumed is %+v, %v", l, err)
	}
	l, err = w.LaneControl.Reset(ctx, w.now, gmail)
	if err != nil || l.State != throttle.LaneOpen || *l.Rate != 20 || l.Code != "" || l.Reason != "" {
		t.Errorf("reset is %+v, %v", l, err)
	}
	// One that nothing is known about.
	if l, err = w.LaneControl.Resume(ctx, w.now, w.name("spare/apple")); err != nil || l.State != throttle.LaneOpen || l.Provider != "icloud" {
		t.Errorf("resumed is %+v, %v", l, err)
	}
	if got := slices.Sorted(maps.Keys(w.list())); !slices.Equal(got, []string{"ses-main/gmail", "ses-main/slow.example"}) {
		t.Errorf("shown are %v", got)
	}
}

func TestNamesOfLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for text, want := range map[string]string{
		"ses-main/gmail": "ses-main/gmail", "ses-main/apple": "ses-main/icloud", "ses-main/united_internet": "ses-main/gmx",
		"spare/Acme.Example": "spare/acme.example", "spare/other": "spare/other",
	} {
		if got := w.name(text).String(); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"gmail": "ACCOUNT/PROVIDER", "": "such as ses-main/gmail", "ses-mian/gmail": "did you mean ses-main?", "ses-main/gmial": "did you mean gmail?",
		"spare/gmail.com": "the lane gmail", "ses-main/": "no mailbox provider", "ses-main/tonline": "no lane of its own",
	} {
		_, err := lanes.Parse(w.Config, text)
		if !errors.Is(err, failure.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want ErrInvalid with %q", text, err, want)
		}
	}
}
