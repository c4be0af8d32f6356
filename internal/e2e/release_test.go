package e2e

import (
	"bytes"
	"maps"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// TestReleaseChangesNothing runs the check of a deployment on what an older version has
// left in Redis, three at the same time and then once more. There is nothing to be brought
// to a new form (what an older version wrote is read as it is, and TestUpgrade goes on with
// it), so there is nothing that a second release, or one that dies, could do wrong.
func TestReleaseChangesNothing(t *testing.T) {
	t.Parallel()
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), "")})
	loadFixture(t, w)
	rdb := admin(t, w.redis.Addr())
	before := everyKey(t, rdb)

	var all []*exec.Cmd
	outputs := make([]bytes.Buffer, 3)
	for i := range outputs {
		cmd := w.command("release")
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for i, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("release: %v\n%s", err, outputs[i].String())
		}
	}
	w.run(0, "release")

	after := everyKey(t, rdb)
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if after[key] != before[key] {
			t.Errorf("%s is not what it was", key)
		}
		delete(before, key)
	}
	for key := range before {
		t.Errorf("%s is gone", key)
	}
}

// everyKey returns what each key holds, as DUMP writes it, but for those that end soon by
// themselves.
func everyKey(t *testing.T, rdb *redis.Client) map[string]string {
	t.Helper()
	all := map[string]string{}
	keys := rdb.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		left, err := rdb.PTTL(t.Context(), keys.Val()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if left > 0 && left < 5*time.Minute {
			continue
		}
		dump, err := rdb.Dump(t.Context(), keys.Val()).Result()
		if err != nil {
			t.Fatal(err)
		}
		all[keys.Val()] = dump
	}
	if err := keys.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%d keys, %v", len(all), err)
	}
	return all
}
