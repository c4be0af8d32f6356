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

// Of a cluster every primary must have what is asked for: what is written may
// lie on any.
func TestAClusterIsAsDurableAsItsWeakest(t *testing.T) {
	t.Parallel()
	good := Node{Info: map[string]string{"redis_version": "7.2.4", "aof_enabled": "1", "connected_slaves": "2"}}
	old := Node{Info: map[string]string{"redis_version": "7.0.15", "aof_enabled": "1", "connected_slaves": "1"}}
	alone := Node{Info: map[string]string{"redis_version": "7.2.4", "aof_enabled": "1", "connected_slaves": "0"}}
	for _, tt := range []struct {
		name          string
		nodes         []Node
		disk, replica bool
	}{
		{"all", []Node{good, good}, true, true},
		{"one is old", []Node{good, old, good}, false, true},
		{"the last is alone", []Node{good, good, alone}, true, false},
		{"the first is alone", []Node{alone, good}, true, false},
	} {
		if got, want := durability("id", tt.nodes), (Durability{"id", tt.disk, tt.replica}); got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}

func TestTheFullestNodeThatIsKnownCounts(t *testing.T) {
	t.Parallel()
	node := func(used, limit string) Node {
		return Node{Info: map[string]string{"used_memory": used, "maxmemory": limit}}
	}
	unknown := node("5", "0")
	for _, tt := range []struct {
		name  string
		nodes []Node
		used  int64
	}{
		{"one", []Node{node("300", "1000")}, 300},
		{"the second has less left", []Node{node("300", "1000"), node("600", "1000")}, 600},
		{"the first is not known", []Node{unknown, node("300", "1000")}, 300},
		{"the last is not known", []Node{node("300", "1000"), unknown}, 300},
		{"none is known", []Node{unknown, unknown}, 0},
	} {
		if got := least(tt.nodes); got.Used != tt.used || got.Limit == 0 != (tt.used == 0) {
			t.Errorf("%s: got %+v, want %d used", tt.name, got, tt.used)
		}
	}
}
