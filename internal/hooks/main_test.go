package hooks_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/hooks"
	"broadside/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ours has the form of a token of a message of ours.
const ours = "cgk3owrkumydjsonamaacelqz3oksajibthqmyb2"

// A recorder keeps what it is given, unless it has an error.
type recorder struct {
	mu      sync.Mutex
	notices []campaign.Notice
	err     error
}

func (r *recorder) Record(_ context.Context, notices []campaign.Notice) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.notices = append(r.notices, notices...)
	}
	return r.err
}

// A desk is a handler with a recorder behind it.
type desk struct {
	http.Handler
	*recorder
	log *testkit.Log
}

func newDesk(t testing.TB, cfg hooks.Config) *desk {
	t.Helper()
	d := &desk{recorder: &recorder{}, log: &testkit.Log{}}
	cfg.Log = slog.New(slog.NewTextHandler(d.log, nil))
	if cfg.Recorder == nil {
		cfg.Recorder = d.recorder
	}
	handler, err := hooks.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/hooks/{name}", handler)
	d.Handler = mux
	return d
}

// A letter is a request of a provider.
type letter struct {
	hook   string
	header map[string]string
	body   string
}

func (d *desk) post(l letter) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/hooks/"+l.hook, strings.NewReader(l.body))
	for k, v := range l.header {
		req.Header.Set(k, v)
	}
	res := httptest.NewRecorder()
	d.ServeHTTP(res, req)
	return res
}

// expect posts a request and expects an answer.
func (d *desk) expect(t testing.TB, want int, l letter) {
	t.Helper()
	res := d.post(l)
	if res.Code != want {
		t.Errorf("%s: got %d %q, want %d: %s", l.hook, res.Code, res.Body, want, d.log)
	}
	if retry := res.Header().Get("Retry-After"); (retry != "") != (want == 503) {
		t.Errorf("%s: got %d with Retry-After %q", l.hook, want, retry)
	}
}

// stored posts a request that is good and returns what was stored of it.
func (d *desk) stored(t testing.TB, l letter) []campaign.Notice {
	t.Helper()
	d.notices = nil
	d.expect(t, 200, l)
	return d.notices
}

// one is stored for a request of one event.
func (d *desk) one(t testing.TB, l letter) campaign.Notice {
	t.Helper()
	notices := d.stored(t, l)
	if len(notices) != 1 {
		t.Fatalf("%d notices stored, want one", len(notices))
	}
	return notices[0]
}

func same(t testing.TB, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// all is a configuration of every provider, and who signs for it.
func all(t testing.TB) (hooks.Config, *amazon) {
	a := newAmazon(t)
	return hooks.Config{
		Hooks: configs.Hooks{
			SES:      &configs.SESHook{TopicArns: []string{topic}},
			Sendgrid: &configs.SendgridHook{PublicKey: sendgridKey().public},
			Mailgun:  &configs.MailgunHook{SigningKey: mailgunKey},
			Postmark: &configs.PostmarkHook{Username: "hook", Password: "pass:word"},
			Generic:  &configs.GenericHook{Secret: genericSecret},
		},
		Transport: a,
		Roots:     a.roots(),
	}, a
}
