package launch_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/launch"
	"broadside/internal/runs"
	"broadside/internal/sink"
	"broadside/internal/testkit"
)

// A reply may come while the operator looks at the plan.
func TestResendLooksAgainBeforeItIsReady(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	first := s.launch(launch.Options{}, "uncertain+1@example.org", "uncertain+2@example.org", "uncertain+3@gmail.com")
	lift := func(who ...string) func(launch.Plan) error {
		return func(launch.Plan) error {
			s.each(first, func(address string, ref ledger.Ref, _ campaign.State) {
				if slices.Contains(who, address) {
					if ok, err := s.Ledger.Resolve(t.Context(), ref, campaign.Accepted, ledger.Reply{}); err != nil || !ok {
						t.Errorf("resolve %s: %v, %v", ref, ok, err)
					}
				}
			})
			return nil
		}
	}
	launched, err := s.Launcher.Retry(t.Context(), first, launch.RetryOptions{State: campaign.Uncertain, Confirm: lift("uncertain+1@example.org")})
	if err != nil || launched.Plan.Total != 2 {
		t.Fatalf("got %+v, %v; want 2 recipients", launched, err)
	}

	s.want(launched.Run, "uncertain+2@example.org pending", "uncertain+3@gmail.com pending")
	s.want(first, "uncertain+1@example.org accepted", "uncertain+2@example.org uncertain", "uncertain+3@gmail.com uncertain")

	// When no recipient is left in the end, there is no run and the name is free.
	other := s.launch(launch.Options{Again: true}, "uncertain+4@example.org")
	first = other
	spec, err := s.Launcher.RetrySpec(t.Context(), other, launch.RetryOptions{State: campaign.Uncertain})
	if err != nil {
		t.Fatal(err)
	}

	s.refused(other, launch.RetryOptions{State: campaign.Uncertain, Confirm: lift("uncertain+4@example.org")}, "no recipient of run "+other+" is uncertain")
	if named, err := s.Ledger.Named(t.Context(), spec.Once); err != nil || named != "" {
		t.Errorf("the name stands for %q, %v", named, err)
	}
}

func TestAcceptUncertain(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	first := s.launch(launch.Options{}, "uncertain+1@example.org", "uncertain+2@gmail.com", "failed+1@gmail.com", "ada@example.org")
	for i, want := range []int64{2, 0} {
		if n, err := s.Runs.AcceptUncertain(t.Context(), first); err != nil || n != want {
			t.Errorf("%d: accepted %d, %v; want %d", i, n, err, want)
		}
	}

	s.want(first, "ada@example.org accepted", "failed+1@gmail.com failed", "uncertain+1@example.org accepted", "uncertain+2@gmail.com accepted")
	if st, err := s.Runs.Status(t.Context(), first); err != nil || st.Counts[campaign.Accepted] != 3 || st.Counts[campaign.Uncertain] != 0 || st.State != campaign.Finished {
		t.Errorf("status is %+v, %v", st, err)
	}

	s.refused(first, launch.RetryOptions{State: campaign.Uncertain}, "is uncertain; nothing was sent")
}

// A resend, and a resend of the resend, carry the Message-ID and the return path
// of the first try; a retry of failed recipients has its own.
func TestAResendIsTheSameMessage(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string][]string{} // Message-ID and return path, by recipient
	srv, err := sink.Listen("127.0.0.1:0", sink.Config{Record: func(e sink.Event) {
		id := "" // of a message that was refused at RCPT
		if m, err := mail.ReadMessage(bytes.NewReader(e.Data)); err == nil {
			id = m.Header.Get("Message-ID")
		}
		mu.Lock()
		defer mu.Unlock()
		seen[e.To] = append(seen[e.To], id+" "+e.From)
	}})
	if err != nil {
		t.Fatal(err)
	}

	serve, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { srv.Serve(serve) })
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	s := newProject(t)
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: s.dir, Env: []string{
		"REDIS_URL=" + testkit.Redis(t), "SMTP_URL=smtp://" + srv.Addr().String() + "?tls=none", "BROADSIDE_FEEDBACK__RETURN_PATH=bounce.acme.example",
		"BROADSIDE_PUBLIC_URL=http://127.0.0.1:8080", "BROADSIDE_SECRETS=a-secret-of-the-tests-that-signs-nothing-real", "BROADSIDE_POSTAL_ADDRESS=Acme",
	}})
	if err != nil {
		t.Fatal(err)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.App, err = app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler), Sends: true}); err != nil {
		t.Fatal(err)
	}

	// The recipient that is resent to has another part and index in each run.
	s.write("people.csv", "email,first_name\nada@example.org,Ada\npolicy+1@example.org,Po\ndrop-after-dot+1@example.org,Dot\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	attend := func(l launch.Launched, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if st, err := s.Runs.Finish(ctx, l.Run, runs.FinishOptions{}); err != nil || st.State != campaign.Finished {
			t.Fatalf("run is %+v, %v", st, err)
		}
		return l.Run
	}
	first := attend(s.Launcher.Launch(ctx, s.def(""), launch.Options{}))
	second := attend(s.Launcher.Retry(ctx, first, launch.RetryOptions{State: campaign.Uncertain}))
	attend(s.Launcher.Retry(ctx, second, launch.RetryOptions{State: campaign.Uncertain}))
	attend(s.Launcher.Retry(ctx, first, launch.RetryOptions{State: campaign.Failed}))
	mu.Lock()
	defer mu.Unlock()
	again := seen["drop-after-dot+1@example.org"]
	if len(again) != 3 || again[0] != again[1] || again[0] != again[2] || !strings.Contains(again[0], "@bounce.acme.example") {
		t.Errorf("the messages to the uncertain recipient are %q, want the same three times", again)
	}

	if fresh := seen["policy+1@example.org"]; len(fresh) != 2 || fresh[0] == fresh[1] {
		t.Errorf("the messages to the failed recipient are %q, want two different ones", fresh)
	}
	if got := seen["ada@example.org"]; len(got) != 1 {
		t.Errorf("the recipient that accepted was sent %q", got)
	}
}
