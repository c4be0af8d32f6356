package store

import (
	"testing"

	"broadside/internal/testkit"
)

func TestAtLeast(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"7.2.0": true, "7.2": true, "7.10.1": true, "8.0.2": true, "10.0": true,
		"7.1.9": false, "7.0.15": false, "6.9": false, "": false, "7": false, "x.y": false,
	} {
		if got := atLeast(version, 7, 2); got != want {
			t.Errorf("%q is at least 7.2: got %v, want %v", version, got, want)
		}
	}
}

// Durability says what can be asked of the server as it is now.
func TestDurability(t *testing.T) {
	t.Parallel()
	r := testkit.NewRedis(t, "--appendonly", "yes")
	s, err := Open(t.Context(), Options{URL: r.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, err := s.Durability(t.Context())
	if err != nil || before.RunID == "" || before.Replica {
		t.Fatalf("got %+v, %v, want an id and no replica", before, err)
	}
	text, err := s.Client().Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	if want := atLeast(parseInfo(text)["redis_version"], 7, 2); before.Disk != want {
		t.Errorf("disk: got %v, want %v: it has an append-only file", before.Disk, want)
	}
	r.Kill()
	r.Start()
	after, err := s.Durability(t.Context())
	if err != nil || after.RunID == before.RunID {
		t.Errorf("after a restart: got %+v, %v, want another id", after, err)
	}
	if err := s.Client().ConfigSet(t.Context(), "appendonly", "no").Err(); err != nil {
		t.Fatal(err)
	}
	if d, err := s.Durability(t.Context()); err != nil || d.Disk {
		t.Errorf("without append-only file: got %+v, %v", d, err)
	}
}
