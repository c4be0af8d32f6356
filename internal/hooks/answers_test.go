package hooks_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/hooks"
)

// good is a good request of each provider.
func good(t testing.TB, at time.Time) []letter {
	return []letter{
		bySendgrid(t, at, `[{"email":"a@example.net","event":"spamreport","sg_event_id":"x"}]`+"\r\n"),
		byMailgun(at, "t-1", `{"event":"complained","recipient":"a@example.net"}`),
		byPostmark(`{"RecordType":"SpamComplaint","ID":1,"Email":"a@example.net"}`),
		byGeneric(t, at, `{"id":"x","type":"complained","recipient":"a@example.net"}`),
		bySNS(t, notification(`{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"a@example.net"}],"feedbackId":"f"}}`)),
	}
}

func TestEveryProviderIsTaken(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	for _, l := range good(t, time.Now()) {
		n := d.one(t, l)
		if n.Class != campaign.ClassComplaint || n.Recipient != "a@example.net" || n.Source != "hook:"+l.hook || !n.Signed || !strings.HasPrefix(n.ID, l.hook+":") {
			t.Errorf("got %+v, want a signed complaint of hook:%s", n, l.hook)
		}
		first := n.ID
		if again := d.one(t, l).ID; again != first {
			t.Errorf("%s: the ID of a repeated event is %s, want %s", l.hook, again, first)
		}
	}
}

// What is not shown to come from its provider is not stored.
func TestChangedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	for _, l := range good(t, time.Now()) {
		changed := l
		changed.body = strings.Replace(l.body, "a@example.net", "b@example.net", 1)
		if l.hook == "mailgun" { // does not sign the event
			changed.body = strings.Replace(l.body, "t-1", "t-2", 1)
		}
		if l.hook != "postmark" { // signs nothing
			d.expect(t, 401, changed)
		}

		bare := l
		bare.header = nil
		bare.body = strings.NewReplacer(`"signature"`, `"x"`, `"Signature"`, `"x"`).Replace(bare.body)
		d.expect(t, 401, bare)

		for name, value := range l.header {
			wrong := l
			wrong.header = maps.Clone(l.header)
			wrong.header[name] = "1" + value + "1"
			if name != "Content-Type" {
				d.expect(t, 401, wrong)
			}
		}
	}
	same(t, 0, len(d.notices))
}

// The example of Standard Webhooks has the right signature, and an old time.
func TestPublishedExample(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	d.expect(t, 401, letter{"generic", map[string]string{
		"webhook-id":        "msg_p5jXN8AQM9LWM0D4loKWxJek",
		"webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	}, `{"test": 2432232314}`})
	if want := "signed at 2021-02-25T15:02:10Z"; !strings.Contains(d.log.String(), want) {
		t.Errorf("got %s, want that only the time is wrong: %s", d.log, want)
	}
}

func TestOldRequestsAreRefused(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	const minute = time.Minute
	for _, tt := range []struct {
		hook string
		at   time.Duration // from now
		want int
	}{
		{"sendgrid", -4 * minute, 200},
		{"sendgrid", -6 * minute, 401},
		{"sendgrid", 6 * minute, 401},
		{"generic", -4 * minute, 200},
		{"generic", 4 * minute, 200},
		{"generic", -6 * minute, 401},
		{"generic", 6 * minute, 401},
		{"mailgun", -8 * 60 * minute, 200}, // it repeats a request for eight hours
		{"mailgun", -(8*60 + 6) * minute, 401},
		{"mailgun", 6 * minute, 401},
	} {
		for _, l := range good(t, time.Now().Add(tt.at)) {
			if l.hook == tt.hook {
				d.expect(t, tt.want, l)
			}
		}
	}
}

func TestUnreadableRequests(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	now := time.Now()
	for _, body := range []string{"", "x", "[", "[{", "{", `[{"event":"bounce"}`, `"text"`, "{}", "[{}]", "[1]", "null", `[{"event":"delivered"},{}]`} {
		d.expect(t, 400, bySendgrid(t, now, body))
		d.expect(t, 400, byPostmark(body))
		d.expect(t, 400, byGeneric(t, now, body))
	}
	for _, body := range []string{"", "x", "{"} {
		d.expect(t, 400, letter{hook: "mailgun", body: body})
		d.expect(t, 400, letter{hook: "ses", body: body})
		d.expect(t, 400, bySNS(t, notification(body)))
	}
	d.expect(t, 400, byMailgun(now, "t", `{"recipient":"a@example.net"}`))
	d.expect(t, 400, byMailgun(now, "t", `[]`))
	d.expect(t, 400, bySNS(t, notification("Successfully validated SNS topic")))
	d.expect(t, 400, bySNS(t, notification("{}")))
	same(t, 0, len(d.notices))
}

func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, hooks.Config{Hooks: configs.Hooks{Generic: &configs.GenericHook{Secret: genericSecret}}})
	for _, name := range []string{"ses", "sendgrid", "mailgun", "postmark", "Generic", "x"} {
		d.expect(t, 404, letter{hook: name, body: "{}"})
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		res := httptest.NewRecorder()
		d.ServeHTTP(res, httptest.NewRequest(method, "/hooks/generic", http.NoBody))
		if res.Code != 405 || res.Header().Get("Allow") != "POST" {
			t.Errorf("%s: got %d, Allow %q, want 405 and POST", method, res.Code, res.Header().Get("Allow"))
		}
	}

	now := time.Now()
	d.expect(t, 413, byGeneric(t, now, `{"type":"delivered","reply":"`+strings.Repeat("x", 2<<20)+`"}`))
	most := strings.Repeat(`{"type":"delivered"},`, 10_000)
	d.expect(t, 413, byGeneric(t, now, "["+most+`{"type":"delivered"}]`))
	same(t, 0, len(d.notices))
	same(t, 10_000, len(d.stored(t, byGeneric(t, now, "["+strings.TrimSuffix(most, ",")+"]"))))
	same(t, 0, len(d.stored(t, byGeneric(t, now, "[]"))))
}

// A provider keeps what could not be stored, and the log says so once, without addresses.
func TestWhatIsNotStoredIsAskedForAgain(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	d.err = errors.New("store is away")
	letters := good(t, time.Now())
	for range 3 {
		for _, l := range letters {
			d.expect(t, 503, l)
		}
	}
	d.err = nil
	for _, l := range letters {
		same(t, 1, len(d.stored(t, l)))
	}

	log := d.log.String()
	if n := strings.Count(log, "cannot be stored"); n != len(letters) {
		t.Errorf("logged %d times, want once for each hook:\n%s", n, log)
	}
	if strings.Contains(log, "example.net") || strings.Contains(log, "pass:word") {
		t.Errorf("an address or a secret is in the log:\n%s", log)
	}
}

// A blocker stores nothing before its context ends.
type blocker struct{}

func (blocker) Record(ctx context.Context, _ []campaign.Notice) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// A store that does not answer does not hold requests for longer than a platform's
// router waits, and no more of their events than there is room for.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, hooks.Config{
			Recorder: blocker{},
			Hooks:    configs.Hooks{Generic: &configs.GenericHook{Secret: genericSecret}},
		})
		start := time.Now()
		one := byGeneric(t, start, `{"type":"delivered"}`)
		many := byGeneric(t, start, "["+strings.Repeat(`{"type":"delivered"},`, 3999)+`{"type":"delivered"}]`)
		took := func(l letter, requests int) (early int) {
			began := time.Now()
			done := make(chan time.Duration, requests)
			for range requests {
				go func() {
					d.expect(t, 503, l)
					done <- time.Since(began)
				}()
			}
			for range requests {
				after := <-done
				if after > 10*time.Second {
					t.Errorf("answered after %v", after)
				}
				if after < 5*time.Second {
					early++
				}
			}
			return early
		}
		same(t, 0, took(one, 100))
		same(t, 10-hooks.MaxStores-2, took(many, 10)) // two wait
	})
}
