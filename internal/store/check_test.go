package store

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

// healthy is what a Redis that nothing is wrong with says.
var healthy = map[string]string{
	"redis_version": "7.0.15", "redis_mode": "standalone", "role": "master", "run_id": "abc",
	"maxmemory": "1000000", "maxmemory_policy": "noeviction",
	"aof_enabled": "1", "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok", "rdb_saves": "0", "rdb_last_load_keys_loaded": "0",
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		change   map[string]string
		loopback bool
		allow    bool
		level    Level
		want     string // in the worst finding
	}{
		{name: "healthy", level: Good},
		{name: "old", change: map[string]string{"redis_version": "6.2.14"}, loopback: true, level: Failed, want: "version 6.2.14 is older than 7.0"},
		{name: "two digits", change: map[string]string{"redis_version": "10.0.0"}, level: Good},
		{name: "no version", change: map[string]string{"redis_version": ""}, level: Failed, want: "expected a number"},
		{name: "replica", change: map[string]string{"role": "slave"}, level: Failed, want: "the server is a slave"},
		{name: "cluster", change: map[string]string{"redis_mode": "cluster"}, level: Failed, want: "node of a Redis Cluster"},
		{name: "evicts", change: map[string]string{"maxmemory_policy": "allkeys-lru"}, loopback: true, allow: true, level: Failed, want: `maxmemory-policy is "allkeys-lru"`},
		{name: "would evict", change: map[string]string{"maxmemory_policy": "volatile-lru", "maxmemory": "0"}, level: Warning, want: "maxmemory-policy is volatile-lru"},
		{name: "volatile", change: map[string]string{"aof_enabled": "0"}, level: Failed, want: "no persistence"},
		{name: "volatile on loopback", change: map[string]string{"aof_enabled": "0"}, loopback: true, level: Warning, want: "no persistence"},
		{name: "volatile, allowed", change: map[string]string{"aof_enabled": "0"}, allow: true, level: Warning, want: "no persistence"},
		{name: "snapshots written", change: map[string]string{"aof_enabled": "0", "rdb_saves": "3"}, level: Warning, want: "snapshots only"},
		{name: "snapshot loaded", change: map[string]string{"aof_enabled": "0", "rdb_last_load_keys_loaded": "9"}, level: Warning, want: "snapshots only"},
		{name: "disk full", change: map[string]string{"aof_last_write_status": "err"}, level: Failed, want: "append-only file failed"},
		{name: "snapshot failed", change: map[string]string{"rdb_last_bgsave_status": "err"}, level: Warning, want: "snapshot could not be written"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			info := maps.Clone(healthy)
			maps.Copy(info, tt.change)
			got := inspect(info, single, tt.loopback, tt.allow)
			if got[0].Level != tt.level || !strings.Contains(got[0].String(), tt.want) {
				t.Errorf("worst: got %s %q, want %s %q", got[0].Level, got[0].Text, tt.level, tt.want)
			}
			for _, f := range got {
				if (f.Level == Good) != (f.Fix == "") || (f.Level == Good) != (f.Why == "") || f.Code == "" {
					t.Errorf("finding %+v: reason and fix are for what is wrong, and for all of it", f)
				}
			}
			err := refusal("h:1", got)
			if (tt.level == Failed) != errors.Is(err, ErrUnfit) {
				t.Errorf("refusal: got %v, level %s", err, tt.level)
			}
		})
	}
}
