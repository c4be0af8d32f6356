package smtppool

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// countConn counts what would be system calls.
type countConn struct {
	net.Conn
	reads, writes *int
}

func (c countConn) Read(p []byte) (int, error)  { *c.reads++; return c.Conn.Read(p) }
func (c countConn) Write(p []byte) (int, error) { *c.writes++; return c.Conn.Write(p) }

// countedPool is a pool whose connections count.
func countedPool(t *testing.T) (p *Pool, srv *mailServer, reads, writes *int) {
	t.Helper()
	srv = &mailServer{}
	reads = new(int)
	writes = new(int)
	p, _ = newPool(t, Config{Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
		conn, err := srv.dial(ctx, n, a)
		return countConn{conn, reads, writes}, err
	}}, unlimited())
	return p, srv, reads, writes
}

// A message costs two writes and two reads where the server pipelines.
func TestSystemCallsPerMessage(t *testing.T) {
	t.Parallel()
	p, srv, reads, writes := countedPool(t)
	c := get(t, p)
	msg := strings.Repeat("0123456789\r\n", 2000)
	*reads = 0
	*writes = 0
	for range 10 {
		if got := send(t.Context(), c, "t@x.org", msg); got != "dot 250 ok complete=true" {
			t.Fatal(got)
		}
	}

	if diff := cmp.Diff([]int{20, 20}, []int{*writes, *reads}); diff != "" {
		t.Errorf("writes and reads for 10 messages (-want +got):\n%s", diff)
	}

	p.Discard(c)
	srv.wg.Wait()
}

func BenchmarkTransaction(b *testing.B) {
	p, _ := tcpPool(b, Config{MaxMessages: 1 << 30, MaxAge: time.Hour})
	c, err := p.Get(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Discard(c)
	msg := []byte(strings.Repeat(strings.Repeat("x", 74)+"\r\n", 270)) // 20 KB
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if r := c.Envelope(ctx, "news@example.com", "someone@example.org", len(msg)); r != nil {
			b.Fatal(r)
		}
		if out := c.Body(ctx, msg); !out.Reply.OK() {
			b.Fatal(out.Reply)
		}
	}

	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func BenchmarkStuff(b *testing.B) {
	msg := []byte(strings.Repeat(strings.Repeat("x", 74)+"\r\n", 270))
	var buf []byte
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		buf, _ = stuff(buf[:0], msg)
	}
}
