package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, addr string
		loopback  bool
	}{
		{"redis://127.0.0.1:6379/0", "127.0.0.1:6379", true},
		{" redis://localhost \n", "localhost:6379", true},
		{"redis://[::1]:7000/3", "[::1]:7000", true},
		{"redis://127.8.8.8", "127.8.8.8:6379", true},
		{"rediss://u:p%40ss@redis.example.com:6380", "redis.example.com:6380", false},
		{"redis://localhost.example.com", "localhost.example.com:6379", false},
		{"redis://10.0.0.1", "10.0.0.1:6379", false},
		{"unix:///run/redis.sock", "/run/redis.sock", true},
	} {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			s, err := parseURL(tt.url, false)
			if err != nil {
				t.Fatalf("parseURL: %v", err)
			}
			if s.addr != tt.addr || s.loopback != tt.loopback {
				t.Errorf("got %s, loopback %v, want %s, %v", s.addr, s.loopback, tt.addr, tt.loopback)
			}
			if o := s.options(7); o.PoolSize != 7 || o.MaxActiveConns != 7 || o.PipelinePoolSize != -1 {
				t.Errorf("options: pool %d, active %d, pipeline pool %d, want 7, 7, none", o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize)
			}
		})
	}
}

func TestParseURLOfSeveralServers(t *testing.T) {
	t.Parallel()
	type parsed struct {
		Kind                           kind
		Addrs                          []string
		Primary, User, Password        string
		SentinelUser, SentinelPassword string
		DB                             int
		Loopback, TLS                  bool
	}
	for _, tt := range []struct {
		url  string
		want parsed
	}{
		{"redis-sentinel://a,b:1,[::1]:2/main", parsed{Kind: sentinel, Addrs: []string{"a:26379", "b:1", "[::1]:2"}, Primary: "main"}},
		{"redis-sentinel://:p%40ss@127.0.0.1/main/3", parsed{Kind: sentinel, Addrs: []string{"127.0.0.1:26379"}, Primary: "main", Password: "p@ss", DB: 3, Loopback: true}},
		{
			"redis+sentinel://u:p@a,b?master=main&db=2&sentinel_username=s&sentinel_password=t",
			parsed{Kind: sentinel, Addrs: []string{"a:26379", "b:26379"}, Primary: "main", User: "u", Password: "p", SentinelUser: "s", SentinelPassword: "t", DB: 2},
		},
		{"rediss-sentinel://a/main", parsed{Kind: sentinel, Addrs: []string{"a:26379"}, Primary: "main", TLS: true}},
		{"redis-cluster://u:p@a:7000,b", parsed{Kind: cluster, Addrs: []string{"a:7000", "b:6379"}, User: "u", Password: "p"}},
		{"Rediss-Cluster://[::1],127.0.0.1:1/0", parsed{Kind: cluster, Addrs: []string{"[::1]:6379", "127.0.0.1:1"}, Loopback: true, TLS: true}},
	} {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			s, err := parseURL(tt.url, false)
			if err != nil {
				t.Fatalf("parseURL: %v", err)
			}
			o := s.options(7)
			got := parsed{s.kind, s.addrs, s.primary, o.Username, o.Password, s.sentinelUser, s.sentinelPassword, o.DB, s.loopback, s.tls}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parseURL (-want +got):\n%s", diff)
			}
			if f, c := s.failover(o), s.cluster(o, nil); f.PoolSize != 7 || f.MaxActiveConns != 7 || f.PipelinePoolSize != -1 || c.PoolSize != 7 || c.MaxActiveConns != 7 || c.PipelinePoolSize != -1 {
				t.Errorf("options: %+v and %+v, want 7 connections and no pool beside", f, c)
			}
		})
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, want string
	}{
		{"", "redis_url is not set, expected"},
		{"localhost:6379", "redis_url is not a URL, expected"},
		{"http://u:hunter2@h", "redis_url begins with http://, expected"},
		{"redis://u:hunter2/x@h:1", "redis_url is not a URL, expected"},
		{"redis://u:hunter2%zz@h:1", "redis_url is not a URL, expected"},
		{"redis://u:hunter2@h:port", "redis_url is not a URL, expected"},
		{"redis://u:hunter2@h/zero", "redis_url: invalid database number"},
		{"redis://u:hunter2@h?colour=red", "redis_url: unexpected option: colour"},
		{"redis://u:hunter2@h?master_name=main", "names the primary of sentinels (master_name)"},
		{"redis://u:hunter2@a:1,b:2/0", "names more than one host: write redis-sentinel:// or redis-cluster://"},
		{"redis://u:hunter2@a:1?addr=b:2", "names more than one host"},
		{"redis-sentinel://u:hunter2@h:26379", "without the name of the primary"},
		{"redis-sentinel://u:hunter2@/main", `has the host "", expected host or host:port`},
		{"redis-sentinel://u:hunter2@a,,b/main", `has the host "", expected host or host:port`},
		{"redis-sentinel://u:hunter2@a:port/main", `has the host "a:port"`},
		{"redis-sentinel://u:hunter2@a:70000/main", `has the host "a:70000"`},
		{"redis-sentinel://u:hunter2@::1/main", `has the host "::1"`},
		{"redis-sentinel://u:hunter2@a,a:26379/main", "names a:26379 twice"},
		{"redis-sentinel://u:hunter2@a/main/zero", `has the database "zero", expected a number`},
		{"redis-sentinel://u:hunter2@a/main/1/2", "has a path too long"},
		{"redis-sentinel://u:hunter2@a/main?colour=red", `has the option "colour", expected db, master, sentinel_username or sentinel_password`},
		{"redis-sentinel://u:hunter2@a/main#x", "is not a URL"},
		{"redis-sentinel://u:hunter2%zz@a/main", "is not a URL"},
		{"redis-cluster://u:hunter2@a:1/3", "has the database 3: a Redis Cluster has 0 alone"},
		{"redis-cluster://u:hunter2@a:1/name", `has the database "name"`},
		{"redis-cluster://u:hunter2@a:1?db=1", "has the database 1"},
		{"redis-cluster://u:hunter2@a:1?master=main", `has the option "master", expected none`},
		{"redis-clusters://u:hunter2@a:1", "redis_url begins with redis-clusters://"},
	} {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			_, err := parseURL(tt.url, false)
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrOptions with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"redis-sentinel://u:p@a,b:1/main/2?db=1", "redis-cluster://[::1]:1,b", "redis://u:p@h:1/2?protocol=2", "rediss://h", "unix:///s", "://", "redis://a,b", "redis://%", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseURL(text, true)
		if err != nil {
			if !errors.Is(err, ErrOptions) {
				t.Fatalf("parseURL(%q): got %v, want ErrOptions", text, err)
			}
			return
		}
		if s.kind != single {
			if len(s.addrs) == 0 || (s.kind == sentinel) != (s.primary != "") {
				t.Fatalf("parseURL(%q): %+v", text, s)
			}
			return
		}
		if o := s.options(1); o.Addr != s.addr || o.PoolSize != 1 {
			t.Fatalf("parseURL(%q): options for %q with %d connections, want %q with 1", text, o.Addr, o.PoolSize, s.addr)
		}
	})
}
