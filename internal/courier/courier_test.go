package courier_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/internal/courier"
	"broadside/internal/testkit"
	"broadside/throttle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const message = "From: <news@acme.example>\r\nTo: <ada@example.org>\r\nSubject: Hello\r\n\r\nHello.\r\n"

// A depot is an account with a server behind it.
type depot struct {
	*courier.Courier
	courier.Config
	t      *testing.T
	rdb    *redis.Client
	server *testkit.ScriptServer
}

// newDepot makes one; limits are those of the account.
func newDepot(t *testing.T, script testkit.Script, limits configs.Limits, lanes map[string]configs.Lane) *depot {
	t.Helper()
	opts, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	d := &depot{t: t, rdb: redis.NewClient(opts), server: testkit.NewScriptServer(t, script)}
	t.Cleanup(func() { d.rdb.Close() })
	host, port, err := net.SplitHostPort(d.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	limits.MessagesPerConnection = 100
	acct := configs.Account{Name: "main", Host: host, Port: number, TLS: configs.TLSNone, Auth: "auto", Pipelining: "auto", Limits: limits, Lanes: lanes}
	d.Config = courier.Config{
		Settings: &configs.Config{Accounts: map[string]configs.Account{"main": acct}},
		Pacer:    throttle.New(d.rdb, "bs", redis.NewScript, nil), Conns: throttle.NewConns(d.rdb, "bs", redis.NewScript),
		Accounts: throttle.NewAccounts(d.rdb, "bs", "test", redis.NewScript), Lanes: throttle.NewLanes(d.rdb, "bs", redis.NewScript),
		Held:    func(context.Context, string) (int, error) { return 0, nil },
		Workers: func(context.Context) (int, error) { return 1, nil },
		Redis:   d.rdb, Prefix: "bs",
	}
	d.Courier = courier.New(d.Config)
	return d
}

// another is a courier of another process.
func (d *depot) another() *courier.Courier {
	cfg := d.Config
	cfg.Pacer = throttle.New(d.rdb, "bs", redis.NewScript, nil)
	cfg.Conns = throttle.NewConns(d.rdb, "bs", redis.NewScript)
	return courier.New(cfg)
}

func takesAll(string, string) testkit.Answer { return testkit.Answer{} }

// send sends one message and returns the code of the reply.
func (d *depot) send(to string) (int, error) {
	d.t.Helper()
	answer, err := d.Send(d.t.Context(), "main", "news@acme.example", to, []byte(message))
	return answer.Code, err
}

func (d *depot) connections() int {
	d.t.Helper()
	counts, err := d.Conns.Counts(d.t.Context(), "main")
	if err != nil {
		d.t.Fatal(err)
	}
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func TestSend(t *testing.T) {
	t.Parallel()
	d := newDepot(t, func(stage, to string) testkit.Answer {
		if stage == "rcpt" && to == "nobody@example.org" {
			return testkit.Answer{Text: "550 5.1.1 unknown"}
		}
		if stage == "dot" && to == "later@example.org" {
			return testkit.Answer{Text: "451 4.3.0 later"}
		}
		return testkit.Answer{}
	}, configs.Limits{Connections: 1, ConnectionRate: 50}, nil)
	for to, want := range map[string]int{"ada@example.org": 250, "nobody@example.org": 550, "later@example.org": 451} {
		if code, err := d.send(to); code != want || err != nil {
			t.Errorf("%s: got %d, %v, want %d", to, code, err, want)
		}
		if n := d.connections(); n != 0 {
			t.Errorf("%s: %d connections count afterwards", to, n)
		}
	}
	if taken := d.server.Taken(); len(taken) != 1 || taken[0].To != "ada@example.org" {
		t.Errorf("taken: %+v", taken)
	}
	if _, err := d.Send(t.Context(), "other", "news@acme.example", "ada@example.org", []byte(message)); err == nil || !strings.Contains(err.Error(), `no account "other"`) {
		t.Errorf("by an account that is none: %v", err)
	}
}

func TestAClosedAccountSendsNothing(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 1}, nil)
	if _, err := d.Accounts.Close(t.Context(), "main", time.Now().Add(time.Hour), string(codes.AccountLogin), "login refused"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.send("ada@example.org"); !errors.Is(err, courier.ErrLater) || !strings.Contains(err.Error(), "login refused") {
		t.Errorf("got %v, want ErrLater", err)
	}
	if err := d.Accounts.Open(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	if code, err := d.send("ada@example.org"); code != 250 || err != nil {
		t.Errorf("open again: got %d, %v", code, err)
	}
}

// What bulk mail has taken of a quota is gone, and the other way round.
func TestQuotasAreShared(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 2, PerHour: 3}, nil)
	quota := throttle.Quota{Name: "hour", Messages: 3, Window: time.Hour}
	bulk := throttle.New(d.rdb, "bs", redis.NewScript, nil)
	if grant, err := bulk.Reserve(t.Context(), throttle.Request{Limits: []throttle.Limit{{Account: "main", Quotas: []throttle.Quota{quota}}}, N: 2}); err != nil || len(grant.Slots) != 2 {
		t.Fatalf("got %+v, %v", grant, err)
	}
	if code, err := d.send("ada@example.org"); code != 250 || err != nil {
		t.Errorf("the last of the quota: got %d, %v", code, err)
	}
	if _, err := d.send("bob@example.org"); !errors.Is(err, courier.ErrLater) || len(d.server.Taken()) != 1 {
		t.Errorf("one more: got %v, want ErrLater", err)
	}
}

// One after the other, no faster than the account, or the lane of the recipient, allows.
func TestRatesAreKept(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rate  float64
		lanes map[string]configs.Lane
	}{
		"of the account": {5, nil},
		"of a provider":  {100, map[string]configs.Lane{"gmail": {Rate: 5}}},
		"of a domain":    {100, map[string]configs.Lane{"gmail.com": {Rate: 5}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDepot(t, takesAll, configs.Limits{Connections: 1, Rate: tt.rate}, tt.lanes)
			for range 4 {
				if code, err := d.send("ada@gmail.com"); code != 250 || err != nil {
					t.Fatalf("got %d, %v", code, err)
				}
			}
			taken := d.server.Taken()
			if d := taken[3].At.Sub(taken[0].At); d < 500*time.Millisecond {
				t.Errorf("4 messages in %v, want 5 a second at most", d)
			}
		})
	}
}

// While others have all connections, a message waits; it goes on when one is free.
func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	d := newDepot(t, takesAll, configs.Limits{Connections: 1}, nil)
	worker := throttle.NewConns(d.rdb, "bs", redis.NewScript)
	got := false
	for end := time.Now().Add(10 * time.Second); !got && time.Now().Before(end); {
		var err error
		if got, err = worker.Acquire(t.Context(), "main", "worker", 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	if !got {
		t.Fatal("the worker got no connection")
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := d.Send(ctx, "main", "news@acme.example", "ada@example.org", []byte(message)); err == nil || len(d.server.Taken()) != 0 {
		t.Errorf("next to the worker: got %v, want it to wait", err)
	}
	if err := worker.Release(t.Context(), "main", "worker"); err != nil {
		t.Fatal(err)
	}
	if code, err := d.send("ada@example.org"); code != 250 || err != nil {
		t.Errorf("afterwards: got %d, %v", code, err)
	}
}
