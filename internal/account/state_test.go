package account_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/internal/account"
	"broadside/internal/testkit"
	"broadside/throttle"
)

// states has the accounts of a Redis of their own.
type states struct {
	rdb *redis.Client
	account.Store
}

func storeOn(rdb redis.UniversalClient) account.Store {
	return account.Store{
		Accounts: throttle.NewAccounts(rdb, "bs", "here", redis.NewScript), Conns: throttle.NewConns(rdb, "bs", redis.NewScript),
		Pacer: throttle.New(rdb, "bs", redis.NewScript, nil),
		Days:  throttle.NewDays(rdb, "bs"),
	}
}

func newStates(t *testing.T) *states {
	t.Helper()
	o, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}

	rdb := redis.NewClient(o)
	t.Cleanup(func() { rdb.Close() })
	return &states{rdb, storeOn(rdb)}
}

// check compares the states of all accounts with those that are wanted. Times may differ
// by seconds.
func (s *states) check(t *testing.T, cfg *configs.Config, want ...account.State) {
	t.Helper()
	got, err := s.States(t.Context(), cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(30*time.Second), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStates(t)
	cfg := two()
	local := account.State{Name: "local", Host: "127.0.0.1", Port: 25, TLS: "none", Limits: account.Limits{Connections: 2, MessagesPerConnection: 1000}}
	ses := account.State{Name: "ses", Host: "smtp.ses.example", Port: 587, TLS: "starttls", Limits: account.Limits{RatePerS: 14, Connections: 10, MessagesPerConnection: 100}}
	s.check(t, cfg, local, ses)

	// The connections of all workers are added up, for each account by itself.
	other := throttle.NewConns(s.rdb, "bs", redis.NewScript)
	for _, c := range []struct {
		conns  *throttle.Conns
		worker string
	}{{s.Conns, "w1"}, {s.Conns, "w1"}, {other, "w2"}} {
		if ok, err := c.conns.Acquire(ctx, "ses", c.worker, 10, 2); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}

	ses.Connections = 3
	s.check(t, cfg, local, ses)

	now := time.Now()
	if _, err := s.Accounts.Close(ctx, "ses", now.Add(time.Hour), string(codes.AccountSuspended), "the account is under review"); err != nil {
		t.Fatal(err)
	}

	ses.Closed = &account.Closed{
		Code: string(codes.AccountSuspended), Reason: "the account is under review", Since: now, Until: now.Add(time.Hour),
		Remedy: "ask the provider what it takes to be allowed again",
	}
	s.check(t, cfg, local, ses)
	one, err := s.Closed(ctx, "ses")
	if err != nil || one == nil || one.Remedy != ses.Closed.Remedy {
		t.Errorf("the account alone: %+v, %v; want it closed", one, err)
	}
	if open, err := s.Closed(ctx, "local"); err != nil || open != nil {
		t.Errorf("an open account alone: %+v, %v", open, err)
	}

	// An account that is not configured any more is none.
	if _, err := s.Accounts.Close(ctx, "gone", now.Add(time.Hour), "BS-A", "closed"); err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts.Open(ctx, "ses"); err != nil {
		t.Fatal(err)
	}

	ses.Closed = nil
	s.check(t, cfg, local, ses)
	s.check(t, &configs.Config{})
}

// What is stored of a closing and cannot be read closes nothing.
func TestStateThatCannotBeReadIsOpen(t *testing.T) {
	t.Parallel()
	s := newStates(t)
	cfg := two()
	delete(cfg.Accounts, "ses")
	if err := s.rdb.HSet(t.Context(), "bs:{acct:local}:state", "until", "soon").Err(); err != nil {
		t.Fatal(err)
	}

	found, err := s.Accounts.States(t.Context(), "local")
	if err != nil || found["local"].Code != string(codes.BrokenState) {
		t.Fatalf("the state is %+v, %v; want one that cannot be read", found, err)
	}

	s.check(t, cfg, account.State{Name: "local", Host: "127.0.0.1", Port: 25, TLS: "none", Limits: account.Limits{Connections: 2, MessagesPerConnection: 1000}})
}

// Where the closings or the counts cannot be read, it is not known how the accounts stand:
// there is an error, and no account looks open.
func TestStatesThatAreNotKnown(t *testing.T) {
	t.Parallel()
	s := newStates(t)
	gone := redis.NewClient(&redis.Options{Addr: s.rdb.Options().Addr})
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}

	if got, err := (account.Store{Accounts: throttle.NewAccounts(gone, "bs", "here", redis.NewScript), Conns: s.Conns, Pacer: s.Pacer}).States(t.Context(), two(), time.Now()); err == nil || got != nil {
		t.Errorf("without the closings: %+v, %v; want an error", got, err)
	}
	if got, err := (account.Store{Accounts: s.Accounts, Conns: throttle.NewConns(gone, "bs", redis.NewScript), Pacer: s.Pacer}).States(t.Context(), two(), time.Now()); err == nil || got != nil {
		t.Errorf("without the counts: %+v, %v; want an error", got, err)
	}

	if err := s.rdb.Set(t.Context(), "bs:{acct:ses}:conns", "not a hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.States(t.Context(), two(), time.Now()); err == nil || got != nil {
		t.Errorf("counts that cannot be read: %+v, %v; want an error", got, err)
	}
}
