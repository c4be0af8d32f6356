package launch_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/internal/testkit"
	"broadside/scheduler"
)

// people writes n people whose rows do not compress well.
func (s *project) people(n int) {
	s.t.Helper()
	var b strings.Builder
	b.WriteString("email,first_name\n")
	for i := range n {
		fmt.Fprintf(&b, "person%x@example%d.org,%x\n", i*2654435761%(1<<32), i%977, i*40503*40503)
	}
	s.write("people.csv", b.String())
}

// leave sets maxmemory so that bytes are left.
func (s *project) leave(bytes int64) {
	s.t.Helper()
	ctx, rdb := context.WithoutCancel(s.t.Context()), s.Launcher.Store.Client()
	if err := rdb.ConfigSet(ctx, "maxmemory", "1gb").Err(); err != nil { // without one the machine's memory counts
		s.t.Fatal(err)
	}

	m, err := s.Launcher.Store.Memory(ctx)
	if err != nil {
		s.t.Fatal(err)
	}

	if err := rdb.ConfigSet(ctx, "maxmemory", fmt.Sprint(max(1, m.Used+bytes))).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// nothingLeft fails when there is a key of a run.
func (s *project) nothingLeft() {
	s.t.Helper()
	var keys []string
	for range testkit.Tries(5 * time.Second) { // the lease runs out within a millisecond
		var err error
		if keys, err = s.Launcher.Store.Client().Keys(s.t.Context(), "*").Result(); err != nil {
			s.t.Fatal(err)
		}
		keys = slices.DeleteFunc(keys, func(k string) bool { return strings.Contains(k, "{sched}") })
		if len(keys) == 0 {
			return
		}
	}

	s.t.Errorf("left in Redis: %v", keys)
}

func noRoom(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, failure.ErrRefused) || !errors.Is(err, scheduler.ErrNoRoom) || codes.Of(err.Error()) != codes.RedisMemory {
		t.Fatalf("got %v, want a refusal for lack of room", err)
	}
	for _, want := range []string{want, "nothing was sent", "maxmemory"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

func TestALaunchThatDoesNotFitLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.people(50_000)
	s.leave(2 << 20)
	def := s.def("")
	plan, err := s.Launcher.Plan(t.Context(), def, launch.Options{})
	if err != nil || plan.Total != 50_000 || plan.Redis.Limit == 0 || plan.Redis.Fits(plan.Memory()) {
		t.Errorf("Plan: got %+v, %v, want one that does not fit", plan, err)
	}

	_, err = s.Launcher.Launch(t.Context(), def, launch.Options{})
	noRoom(t, err, "the run needs about")
	s.nothingLeft()

	// With room it is launched as if it had never been tried.
	s.leave(64 << 20)
	before, err := s.Launcher.Store.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	launched, err := s.Launcher.Launch(t.Context(), def, launch.Options{})
	if err != nil {
		t.Fatalf("launch with room: %v", err)
	}

	after, err := s.Launcher.Store.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if took, need := after.Used-before.Used, launched.Plan.Memory(); took < launched.Plan.Bytes || took > need {
		t.Errorf("the run took %d bytes, want more than its %d of recipients and at most the %d that were asked for", took, launched.Plan.Bytes, need)
	}
}

// Redis may get full after all, by what others write.
func TestALaunchThatMeetsAFullRedisLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		launch func(s *project) launch.Options
	}{
		{"from the beginning", func(s *project) launch.Options { s.leave(-1 << 40); return launch.Options{} }},
		{"when it is about to be ready", func(s *project) launch.Options {
			return launch.Options{Confirm: func(launch.Plan) error { s.leave(-1 << 40); return nil }}
		}},
		{"with a key", func(s *project) launch.Options {
			return launch.Options{Key: "k", Confirm: func(launch.Plan) error { s.leave(-1 << 40); return nil }}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newProject(t)
			_, err := s.Launcher.Launch(t.Context(), s.def(""), tt.launch(s))
			noRoom(t, err, "OOM")
			s.nothingLeft()
		})
	}
}

// A full Redis is not the campaign's fault: a scheduled run waits for room.
func TestAScheduledRunWaitsForRoom(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.people(20_000)
	f := firingOf(s.add("schedule: {cron: \"0 9 * * *\"}\n", launch.ScheduleOptions{}))
	s.leave(1 << 20)
	made, err := s.makeRun(t.Context(), f, goOn)
	noRoom(t, err, "the run needs about")
	if made != (scheduler.Made{}) {
		t.Errorf("made %+v, want that it is tried again", made)
	}

	if keys, err := s.Launcher.Store.Client().Keys(t.Context(), "*:chunks").Result(); err != nil || len(keys) > 0 {
		t.Errorf("left in Redis: %v, %v", keys, err)
	}

	s.leave(64 << 20)
	if made, err = s.makeRun(t.Context(), f, goOn); err != nil || made.Run == "" || made.Failure != "" {
		t.Errorf("with room: got %+v, %v, want a run", made, err)
	}
}

// A list takes no memory that the runs need.
func TestAListThatDoesNotFitLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.people(50_000)
	load := func() error {
		rows, err := audience.Open(t.Context(), audience.Source{Path: filepath.Join(s.dir, "people.csv")}, audience.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		_, err = s.ImportList(t.Context(), "all", rows, audience.ImportOptions{})
		return err
	}
	s.leave(1 << 19)
	err := load()
	if !errors.Is(err, failure.ErrRefused) || codes.Of(err.Error()) != codes.RedisMemory || !strings.Contains(err.Error(), "the list needs about") {
		t.Fatalf("got %v, want a refusal for lack of room", err)
	}

	s.nothingLeft()
	s.leave(-1 << 40)
	if err := load(); !errors.Is(err, failure.ErrRefused) {
		t.Fatalf("full: got %v, want a refusal", err)
	}

	s.nothingLeft()
	s.leave(512 << 20)
	if err := load(); err != nil {
		t.Fatalf("with room: %v", err)
	}
}

func TestExplainLeavesOtherErrorsAlone(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, context.Canceled, failure.Refused("no")} {
		if got := (launch.Room{}).Explain(err); got != err {
			t.Errorf("Explain(%v) = %v", err, got)
		}
	}
}
