package testkit

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis starts a private redis-server that keeps nothing on disk and returns
// its URL. args are further options ("--maxmemory", "10mb").
func Redis(t testing.TB, args ...string) string {
	t.Helper()
	return NewRedis(t, args...).URL()
}

// A RedisServer is a private redis-server that a test may stop and start
// again: port and directory stay the same.
type RedisServer struct {
	t    testing.TB
	path string
	dir  string
	port int
	args []string
	proc *Proc
}

// NewRedis starts a private redis-server. Without args it keeps nothing on
// disk; tests of a restart pass "--appendonly", "yes", "--appendfsync",
// "always".
func NewRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	NeedsServer(t)
	r := &RedisServer{t: t, path: program(t, "redis-server", "redis-server"), dir: t.TempDir(), args: args}
	for range 10 { // another process may take the port first
		r.port = Port(t)
		if r.run() {
			return r
		}
	}
	t.Fatal("found no port for redis-server in 10 attempts")
	return nil
}

// URL returns redis://127.0.0.1:PORT/0.
func (r *RedisServer) URL() string { return "redis://" + r.Addr() + "/0" }

// Addr returns 127.0.0.1:PORT.
func (r *RedisServer) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// Proc returns the process that runs now, or ran last.
func (r *RedisServer) Proc() *Proc { return r.proc }

// Kill ends the server with SIGKILL: what it had not written is lost.
func (r *RedisServer) Kill() { r.proc.Kill() }

// Shutdown ends the server with SIGTERM: it writes what it keeps.
func (r *RedisServer) Shutdown() {
	r.t.Helper()
	r.proc.Signal(syscall.SIGTERM)
	r.proc.Wait(patience)
}

// Start starts the server again, after Kill or Shutdown, and returns when it
// has read its data and answers.
func (r *RedisServer) Start() {
	r.t.Helper()
	if !r.run() {
		r.t.Fatalf("port %d of the stopped redis-server was taken", r.port)
	}
}

// Stop freezes the server (SIGSTOP): connections stay open, nothing answers.
func (r *RedisServer) Stop() { r.proc.Signal(syscall.SIGSTOP) }

// Cont lets a frozen server go on (SIGCONT).
func (r *RedisServer) Cont() { r.proc.Signal(syscall.SIGCONT) }

// run starts the process and waits for PONG; false when the port is in use.
func (r *RedisServer) run() bool {
	r.t.Helper()
	args := []string{
		"--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--enable-debug-command", "yes",
		"--repl-diskless-sync-delay", "0", // Redis waits 5 s for a second replica before it sends its data to the first
	}
	r.proc = Start(r.t, nil, r.path, append(args, r.args...)...)
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if _, ok := r.proc.Find(ctx, "Ready to accept connections", 1); !ok {
		out := r.proc.Output()
		r.proc.Kill()
		if strings.Contains(out, "in use") {
			return false
		}
		r.t.Fatalf("redis-server did not become ready:\n%s", out)
	}
	if err := ping(ctx, r.Addr()); err != nil {
		r.t.Fatalf("ping redis-server: %v", err)
	}
	return true
}

// ping asks the server at addr once and expects PONG.
func ping(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if line != "+PONG\r\n" {
		return fmt.Errorf("got %q, want PONG", line)
	}
	return nil
}
