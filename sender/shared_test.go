package sender

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/throttle"
)

// sharing returns the account of a worker that shares its lanes with others on rdb.
func sharing(rdb *redis.Client) *account {
	cfg := &Config{
		Log: slog.New(slog.DiscardHandler), Storm: StormLimit{Share: 0.5, Of: 4, AtLeast: 2},
		Lanes: throttle.NewLanes(rdb, "bs", redis.NewScript), Member: &ledger.Member{},
	}
	return newAccount(cfg, newLifetime(0, 0), AccountConfig{Name: "ses", Connections: 1})
}

// gmailOf returns how all workers see the lane, which the account has taken over.
func gmailOf(t *testing.T, a *account) throttle.Lane {
	t.Helper()
	shared, err := a.shared.Read(t.Context(), "ses")
	if err != nil {
		t.Fatal(err)
	}
	a.follow(time.Now(), time.Now(), throttle.State{}, shared["ses"])
	return a.lanes.of(at(nil, 0, "gmail.com")).throttled
}

// A storm that two workers see begins when the first of them saw it begin: from then on
// suppressions can be taken back.
func TestAStormBeginsWhenTheFirstWorkerSawIt(t *testing.T) {
	t.Parallel()
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for _, tt := range []struct {
		name        string
		first, next int // minutes in which the two workers saw it begin
		want        int
	}{
		{"the second saw it earlier", 5, 2, 2},
		{"the second saw it later", 2, 5, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rdb := newRedis(t)
			one, two := sharing(rdb), sharing(rdb)
			gmail := at(nil, 0, "gmail.com")

			one.closeForStorm(t.Context(), minute(6), one.lanes.of(gmail), minute(tt.first), "550 no such user")
			two.closeForStorm(t.Context(), minute(7), two.lanes.of(gmail), minute(tt.next), "550 unknown")
			for _, a := range []*account{one, two} {
				got := gmailOf(t, a)
				if got.State(minute(8)) != throttle.LaneClosed || got.Code != string(codes.LaneStorm) || !strings.Contains(got.Reason, "550 no such user") {
					t.Errorf("got %+v, want what the first has seen", got)
				}
				if !got.From.Equal(minute(tt.want)) || !got.Since.Equal(minute(6)) {
					t.Errorf("it began at %s and was closed at %s, want %s and %s", got.From, got.Since, minute(tt.want), minute(6))
				}
			}
		})
	}
}

// A lane that an operator has closed stays closed for that reason alone.
func TestAStormChangesNoLaneThatIsClosed(t *testing.T) {
	t.Parallel()
	a := sharing(newRedis(t))
	l := a.lanes.of(at(nil, 0, "gmail.com"))
	a.change(t.Context(), l, noon, func(t throttle.Lane) throttle.Lane {
		return t.Close(noon, string(codes.LaneClosed), "by hand")
	})
	a.closeForStorm(t.Context(), noon.Add(time.Minute), l, noon, "550 no such user")
	if got := gmailOf(t, a); got.Code != string(codes.LaneClosed) || got.Reason != "by hand" || !got.From.IsZero() {
		t.Errorf("got %+v, want it as the operator left it", got)
	}
}

// A lane that is opened counts its dead addresses from zero: what closed it must not
// close it again at once.
func TestAnOpenedLaneForgetsItsStorm(t *testing.T) {
	t.Parallel()
	a := sharing(newRedis(t))
	l := a.lanes.of(at(nil, 0, "gmail.com"))
	bounce := func(second int, want bool) {
		t.Helper()
		storm, from := a.counted(noon.Add(time.Duration(second)*time.Second), l, true)
		if storm != want || want && !from.Equal(noon) {
			t.Errorf("bounce in second %d: storm %v since %s, want %v since noon", second, storm, from, want)
		}
	}
	bounce(0, false)
	bounce(1, true)
	a.closeForStorm(t.Context(), noon, l, noon, "550 no such user")

	if _, _, err := a.shared.Change(t.Context(), "ses", "gmail", throttle.Lane.Reset); err != nil { // an operator
		t.Fatal(err)
	}
	if state := gmailOf(t, a).State(noon); state != throttle.LaneOpen {
		t.Fatalf("the lane is %s, want open", state)
	}
	bounce(2, false)
}
