package testkit_test

import (
	"bufio"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// ask sends one inline command and returns the last line of the reply.
func ask(t *testing.T, addr, cmd string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte(cmd + "\r\n")); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil && strings.HasPrefix(line, "$") && !strings.HasPrefix(line, "$-1") {
		line, err = r.ReadString('\n')
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestRedis(t *testing.T) {
	t.Parallel()
	first, err := url.Parse(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(testkit.Redis(t, "--maxmemory", "10mb"))
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, first.Host, "SET k 1"); got != "+OK" {
		t.Errorf("SET: got %q, want +OK", got)
	}
	if got := ask(t, second.Host, "GET k"); got != "$-1" {
		t.Errorf("GET on the other server: got %q, want nothing", got)
	}
}

func TestRedisKeepsItsDataOverAKill(t *testing.T) {
	t.Parallel()
	r := testkit.NewRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	url := r.URL()
	if got := ask(t, r.Addr(), "SET k kept"); got != "+OK" {
		t.Fatalf("SET: got %q, want +OK", got)
	}
	r.Kill()
	if c, err := net.Dial("tcp", r.Addr()); err == nil {
		c.Close()
		t.Fatal("redis-server still listens after Kill")
	}
	r.Start()
	if got := ask(t, r.Addr(), "GET k"); got != "kept" {
		t.Errorf("GET after kill and start: got %q, want kept", got)
	}
	if r.URL() != url {
		t.Errorf("URL changed from %s to %s", url, r.URL())
	}
	r.Shutdown()
	r.Start()
	if got := ask(t, r.Addr(), "GET k"); got != "kept" {
		t.Errorf("GET after shutdown and start: got %q, want kept", got)
	}
}

func TestRedisIsGoneWhenTheTestEnds(t *testing.T) {
	t.Parallel()
	var addr string
	t.Run("inner", func(t *testing.T) {
		r := testkit.NewRedis(t)
		addr = r.Addr()
		r.Stop() // a frozen process must go as well
	})
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Errorf("redis-server at %s outlived its test", addr)
	}
}
