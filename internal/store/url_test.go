package store

import (
	"errors"
	"strings"
	"testing"
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
		{"redis-sentinel://u:hunter2@h:26379/main", "names Redis Sentinel, which is not supported yet"},
		{"redis+sentinel://u:hunter2@h", "names Redis Sentinel, which is not supported yet"},
		{"redis://u:hunter2@h?master_name=main", "names Redis Sentinel, which is not supported yet"},
		{"redis-cluster://u:hunter2@h", "names Redis Cluster, which is not supported yet"},
		{"redis://u:hunter2@a:1,b:2/0", "names more than one Redis host, which is not supported yet"},
		{"redis://u:hunter2@a:1?addr=b:2", "names more than one Redis host, which is not supported yet"},
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
	for _, s := range []string{"redis://u:p@h:1/2?protocol=2", "rediss://h", "unix:///s", "://", "redis://a,b", "redis://%", ""} {
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
		if o := s.options(1); o.Addr != s.addr || o.PoolSize != 1 {
			t.Fatalf("parseURL(%q): options for %q with %d connections, want %q with 1", text, o.Addr, o.PoolSize, s.addr)
		}
	})
}
