package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// A key is asked in place of suppressions.
type aKey string

func (k aKey) Queue(ctx context.Context, pipe redis.Pipeliner) func(string, [16]byte, string) func() (bool, error) {
	return func(string, [16]byte, string) func() (bool, error) {
		cmd := pipe.Exists(ctx, string(k))
		return func() (bool, error) { n, err := cmd.Result(); return n == 1, err }
	}
}

// The node with the suppressions may be faster than the one with the run.
func TestASuppressionBeforeTheClaimIsSeenInACluster(t *testing.T) {
	t.Parallel()
	world := testkit.NewCluster(t, 2, false)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{world.Primaries[0].Addr(), world.Primaries[1].Addr()}, MaxRedirects: -1})
	t.Cleanup(func() { rdb.Close() })
	l := New(rdb, "bs", redis.NewScript)
	run := newRun(t, l, "r", 2)
	ctx := t.Context()
	node := func(key string) *redis.Client {
		n, err := rdb.MasterForKey(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	home := node(l.runKey("r", "record"))
	key := ""
	for i := 0; key == "" || node(key).Options().Addr == home.Options().Addr; i++ {
		key = fmt.Sprintf("suppressed:%d", i)
	}

	n := l.Line(rdb, aKey(key))
	runLine, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(runLine) }()
	defer func() { stop(); <-ended }()
	if c, err := n.Claim(ctx, Ref{run, 0, 0}, "w.1", SuppressionKey{Topic: "t"}); err != nil || !c.Held || c.Suppressed {
		t.Fatalf("nobody is suppressed yet: %+v, %v", c, err)
	}
	if err := home.Do(ctx, "CLIENT", "PAUSE", 1000, "ALL").Err(); err != nil {
		t.Fatal(err)
	}

	var claim Step
	claim.Claim.Ref = Ref{run, 0, 1}
	claim.Claim.Token = "w.2"
	claim.Claim.SuppressionKey = SuppressionKey{Topic: "t"}
	waits := n.Start(ctx, &claim)
	for range testkit.Tries(10 * time.Second) { // the question is on its way to the node that is paused
		if len(n.batch.in) == 0 {
			break
		}
	}

	<-time.After(200 * time.Millisecond) // in which the other node could have answered
	if err := rdb.Set(ctx, key, "x", 0).Err(); err != nil {
		t.Fatal(err)
	}

	select {
	case <-waits.done:
		t.Fatal("the pause was over too early: this shows nothing")
	default:
	}

	if waits.Wait(ctx, &claim); claim.Claim.Err != nil || !claim.Claim.Held || !claim.Claim.Suppressed {
		t.Errorf("suppressed before the claim was made: %+v, %v", claim.Claim.Claim, claim.Claim.Err)
	}
}
