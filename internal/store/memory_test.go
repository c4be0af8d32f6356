package store_test

import (
	"errors"
	"strings"
	"testing"

	"broadside/campaign/codes"
	"broadside/internal/store"
	"broadside/internal/testkit"
)

func TestNodeMemory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		info       map[string]string
		used, free int64
		machine    bool
	}{
		{
			name: "maxmemory", info: map[string]string{"maxmemory": "1000", "used_memory": "300", "total_system_memory": "9999"},
			used: 300, free: 600, // a tenth is kept
		},
		{
			name: "what is not counted", info: map[string]string{"maxmemory": "1000", "used_memory": "300", "mem_not_counted_for_evict": "100"},
			used: 200, free: 700,
		},
		{name: "full", info: map[string]string{"maxmemory": "1000", "used_memory": "950"}, used: 950, free: 0},
		{
			name: "no maxmemory", info: map[string]string{"maxmemory": "0", "used_memory": "300", "used_memory_rss": "500", "total_system_memory": "1000"},
			used: 500, free: 400, machine: true,
		},
		{name: "nothing is known", info: map[string]string{"used_memory": "300"}, used: 300, machine: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := store.Node{Info: tt.info}.Memory()
			if m.Used != tt.used || m.Free() != tt.free || m.Machine != tt.machine {
				t.Errorf("got %+v with %d free, want %d used, %d free, of the machine %v", m, m.Free(), tt.used, tt.free, tt.machine)
			}
			known := tt.name != "nothing is known"
			if !m.Fits(tt.free) || m.Fits(tt.free+1) == known {
				t.Errorf("fits %d: %v, one more: %v", tt.free, m.Fits(tt.free), m.Fits(tt.free+1))
			}
		})
	}
}

func TestMemoryOfAServer(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{URL: testkit.Redis(t, "--maxmemory", "50mb")})
	before, err := s.Memory(t.Context())
	if err != nil || before.Limit != 50<<20 || before.Used <= 0 || before.Machine {
		t.Fatalf("Memory: got %+v, %v, want some of 50 MB", before, err)
	}
	const size = 8 << 20
	if err := s.Client().Set(t.Context(), "k", strings.Repeat("x", size), 0).Err(); err != nil {
		t.Fatalf("SET: %v", err)
	}
	after, err := s.Memory(t.Context())
	if err != nil || before.Free()-after.Free() < size {
		t.Errorf("Memory: got %+v, %v, want at least %d bytes less free than %+v", after, err, size, before)
	}
}

func TestAnEmbeddedStoreHasNoNodes(t *testing.T) {
	t.Parallel()
	s, err := store.OpenEmbedded(t.Context(), nil)
	if err != nil {
		t.Fatalf("OpenEmbedded: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	m, err := s.Memory(t.Context())
	if err != nil || m.Limit != 0 || !m.Fits(1<<50) {
		t.Errorf("Memory: got %+v, %v, want that nothing is known", m, err)
	}
}

// A look at a Redis that is not fit returns it with what was found.
func TestOpenUnfit(t *testing.T) {
	t.Parallel()
	o := store.Options{URL: testkit.Redis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), Unfit: true}
	s := open(t, o)
	f := s.Findings()[0]
	if f.Level != store.Failed || f.Code != codes.RedisEviction {
		t.Errorf("worst finding: got %+v, want %s failed", f, codes.RedisEviction)
	}
	o.Unfit = false
	if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrUnfit) || !strings.Contains(err.Error(), f.String()) {
		t.Errorf("Open: got %v, want ErrUnfit with %q", err, f)
	}
}

func TestFindingOf(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), store.Options{URL: "redis://:hunter2@127.0.0.1:1"})
	f := store.FindingOf(err)
	if f.Level != store.Failed || f.Code != codes.RedisUnreachable || !strings.Contains(f.Text, "redis at 127.0.0.1:1 is not reachable") ||
		!strings.Contains(f.Fix, "REDIS_URL") || strings.Contains(f.String(), "hunter2") {
		t.Errorf("FindingOf(%v) = %+v", err, f)
	}
}
