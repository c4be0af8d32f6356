//go:build linux

package smtppool

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"

	"golang.org/x/sync/errgroup"
)

// Is BDAT (CHUNKING, RFC 3030) worth it? The two ways to send the same messages
// take turns at a server that offers both. Each costs one round trip a message:
// the next envelope goes with the body. What BDAT saves is the doubled dots, on
// both sides, and the 354; here it also does without the search for bare line
// ends, which the product would keep.
func BenchmarkChunking(b *testing.B) {
	servers := []struct {
		name  string
		start func(*testing.B) string
	}{{"postfix", discardPostfix}, {"exim", discardExim}}
	for _, s := range servers {
		b.Run(s.name, func(b *testing.B) {
			addr := s.start(b)
			b.Run("loopback", func(b *testing.B) { compareKinds(b, addr, 10, 2000, 5) })
			b.Run("50ms", func(b *testing.B) {
				compareKinds(b, testkit.NewLongWire(b, addr, 50*time.Millisecond).Addr(), 3, 150, 5)
			})
		})
	}
}

// A chunkingCost is what a round came to: its rate, and the CPU of either side.
// The wire that makes the distance is in that of the client.
type chunkingCost struct{ rate, client, server float64 }

// compareKinds has both kinds send n messages in each round. A ratio is the
// median of those of the rounds, whose halves saw the same machine.
func compareKinds(b *testing.B, addr string, conns, n, rounds int) {
	for b.Loop() {
		sendRound(b, addr, true, conns, conns) // the server starts its processes
		var data, bdat []chunkingCost
		for i := range rounds {
			got := map[chunkingKind]chunkingCost{}
			for _, kind := range []chunkingKind{i%2 == 1, i%2 == 0} { // neither is always the first
				got[kind] = sendRound(b, addr, kind, conns, n)
			}
			data = append(data, got[false])
			bdat = append(bdat, got[true])
			if testing.Verbose() {
				b.Logf("msgs/s, client's and server's µs/msg: DATA %.0f, BDAT %.0f", got[false], got[true])
			}
		}

		report := func(what, unit string, of func(chunkingCost) float64) {
			var d, c, ratios []float64
			for i := range rounds {
				d, c = append(d, of(data[i])), append(c, of(bdat[i]))
				ratios = append(ratios, c[i]/d[i])
			}
			b.ReportMetric(middle(d), "data-"+what+"-"+unit)
			b.ReportMetric(middle(c), "bdat-"+what+"-"+unit)
			b.ReportMetric(middle(ratios), "bdat/data-"+what)
		}
		report("rate", "msgs/s", func(c chunkingCost) float64 { return c.rate })
		report("client", "µs/msg", func(c chunkingCost) float64 { return c.client })
		report("server", "µs/msg", func(c chunkingCost) float64 { return c.server })
	}

	b.ReportMetric(0, "ns/op") // says nothing
}

func middle(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// sendRound sends n messages over new connections. What comes before the first
// body is not in the cost.
func sendRound(b *testing.B, addr string, kind chunkingKind, conns, n int) chunkingCost {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	msg := []byte(chunkingMessage())
	clients := make([]*chunkingClient, conns)
	var dials errgroup.Group
	for i := range clients {
		dials.Go(func() (err error) {
			clients[i], err = dialChunking(ctx, addr, kind)
			return err
		})
	}

	if err := dials.Wait(); err != nil {
		b.Fatalf("connect for %s: %v", kind, err)
	}

	var left atomic.Int64
	left.Store(int64(n - conns)) // each has the envelope of its first
	server := serverCPU(b)       // costs this process something itself
	client := ownCPU(b)
	began := time.Now()
	var g errgroup.Group
	for _, c := range clients {
		g.Go(func() error {
			for more := true; more; {
				more = left.Add(-1) >= 0
				if err := c.send(msg, more); err != nil {
					return err
				}
			}
			return nil
		})
	}

	if err := g.Wait(); err != nil {
		b.Fatalf("send with %s: %v", kind, err)
	}

	took := time.Since(began)
	client = ownCPU(b) - client
	server = serverCPU(b) - server
	var quits errgroup.Group // not before: what has ended is measured less exactly
	for _, c := range clients {
		quits.Go(func() error {
			defer c.conn.Close()
			return c.say("QUIT\r\n", "221")
		})
	}

	if err := quits.Wait(); err != nil {
		b.Fatalf("quit with %s: %v", kind, err)
	}

	per := func(cpu time.Duration) float64 { return float64(cpu.Nanoseconds()) / 1e3 / float64(n) }
	return chunkingCost{float64(n) / took.Seconds(), per(client), per(server)}
}

// chunkingMessage has 20 KB in lines of 76 characters; dots lead some.
func chunkingMessage() string {
	var m strings.Builder
	m.WriteString("From: news@example.test\r\nTo: ann@example.test\r\nSubject: news\r\n\r\n")
	for i := range 260 {
		line := strings.Repeat("0123456789", 8)[:76]
		if i%20 == 0 {
			line = "." + line[1:]
		}
		m.WriteString(line + "\r\n")
	}

	return m.String()
}

// A chunkingKind is how messages go: with BDAT, or with DATA.
type chunkingKind bool

func (k chunkingKind) String() string {
	if k {
		return "BDAT"
	}
	return "DATA"
}

// A chunkingClient is a connection that always overlaps.
type chunkingClient struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
	kind chunkingKind
}

const (
	chunkingEnvelope = "MAIL FROM:<news@example.test>\r\nRCPT TO:<ann@example.test>\r\n"
	chunkingData     = chunkingEnvelope + "DATA\r\n"
)

// dialChunking returns a connection whose first envelope is taken.
func dialChunking(ctx context.Context, addr string, kind chunkingKind) (*chunkingClient, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}

	c := &chunkingClient{conn: conn, r: bufio.NewReader(conn), kind: kind}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	if err == nil {
		err = c.expect("220")
	}
	if err == nil {
		err = c.say("EHLO client.example.test\r\n", "250")
	}

	if err == nil && kind {
		err = c.say(chunkingEnvelope, "250", "250")
	} else if err == nil {
		err = c.say(chunkingData, "250", "250", "354")
	}

	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}

	return c, nil
}

// send sends a message, and the next envelope in the same write.
func (c *chunkingClient) send(msg []byte, more bool) error {
	replies := []string{"250", "250", "250", "354"}
	if c.kind {
		replies = replies[:3]
		c.buf = append(c.buf[:0], "BDAT "...)
		c.buf = append(strconv.AppendInt(c.buf, int64(len(msg)), 10), " LAST\r\n"...)
		c.buf = append(c.buf, msg...)
	} else {
		c.buf, _ = stuff(c.buf[:0], msg)
	}

	switch {
	case !more:
		replies = replies[:1]
	case bool(c.kind):
		c.buf = append(c.buf, chunkingEnvelope...)
	default:
		c.buf = append(c.buf, chunkingData...)
	}

	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}

	quickAck(c.conn) // as for a server that holds replies back; both kinds the same
	return c.expect(replies...)
}

func (c *chunkingClient) say(commands string, replies ...string) error {
	if _, err := c.conn.Write([]byte(commands)); err != nil {
		return err
	}
	return c.expect(replies...)
}

func (c *chunkingClient) expect(replies ...string) error {
	for _, want := range replies {
		for last := false; !last; {
			line, err := c.r.ReadSlice('\n')
			if err != nil {
				return fmt.Errorf("read the reply %s: %w", want, err)
			}
			if len(line) < 4 || string(line[:3]) != want {
				return fmt.Errorf("reply: got %q, expected %s", line, want)
			}
			last = line[3] != '-'
		}
	}

	return nil
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serverCPU is what the processes below this one have used, with those that
// have ended.
func serverCPU(b *testing.B) time.Duration {
	const tick = 10 * time.Millisecond // of stat, on every Linux that Go knows
	type process struct {
		parent string
		used   time.Duration
	}
	all := map[string]process{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}

	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}

		exact, err := os.ReadFile(filepath.Join(filepath.Dir(file), "schedstat"))
		if err != nil {
			continue
		}

		end := strings.LastIndexByte(string(stat), ')') // a name may have anything in it
		f := strings.Fields(string(stat[end+1:]))
		var own, user, system int64 // of its one thread in ns; of its ended children in ticks
		if _, err := fmt.Sscan(string(exact)+" "+f[13]+" "+f[14], &own, new(int64), new(int64), &user, &system); err != nil {
			b.Fatalf("%s: %v", file, err)
		}
		p := process{f[1], time.Duration(own) + time.Duration(user+system)*tick}
		all[filepath.Base(filepath.Dir(file))] = p
	}

	self := strconv.Itoa(os.Getpid())
	sum := time.Duration(0)
	for pid, p := range all {
		above := p.parent
		for above != self && all[above].parent != "" {
			above = all[above].parent
		}
		if pid != self && above == self {
			sum += p.used
		}
	}

	return sum
}

// discardPostfix starts a Postfix that takes everything and queues nothing: it
// removes a message when it has written it. Its log goes to a file, because
// this process would pay for reading it.
func discardPostfix(b *testing.B) string {
	daemons, err := exec.CommandContext(b.Context(), "postconf", "-dh", "daemon_directory").Output()
	u, nobody := user.Lookup("postfix")
	if err != nil || nobody != nil || os.Geteuid() != 0 {
		b.Skip("needs postfix, and root to start it")
	}

	dir, err := os.MkdirTemp("", "broadside-chunking-") // b.TempDir is closed to Postfix's user
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	uid, err := strconv.Atoi(u.Uid)
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(err)
	must(os.Chmod(dir, 0o755))
	for _, name := range []string{"spool", "spool/pid", "data", "spool/incoming", "spool/private", "spool/public"} {
		must(os.Mkdir(filepath.Join(dir, name), 0o755))
		if name != "spool" && name != "spool/pid" {
			must(os.Chown(filepath.Join(dir, name), uid, -1))
		}
	}

	port := strconv.Itoa(testkit.Port(b))
	must(os.WriteFile(filepath.Join(dir, "main.cf"), []byte(strings.ReplaceAll(discardMain, "DIR", dir)), 0o644))
	must(os.WriteFile(filepath.Join(dir, "master.cf"), []byte(strings.ReplaceAll(discardMaster, "PORT", port)), 0o644))
	p := testkit.Start(b, []string{"MAIL_CONFIG=" + dir}, filepath.Join(strings.TrimSpace(string(daemons)), "master"), "-s", "-e", "900")
	b.Cleanup(func() { // master ends its children
		p.Signal(syscall.SIGTERM)
		p.Wait(time.Minute)
	})
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for {
		c, err := dialChunking(ctx, "127.0.0.1:"+port, true)
		if err == nil {
			c.conn.Close()
			return "127.0.0.1:" + port
		}

		select {
		case <-time.After(20 * time.Millisecond): // until the next question
		case <-p.Done():
			b.Fatalf("postfix did not start: %v", err)
		case <-ctx.Done():
			b.Fatalf("postfix does not answer: %v", err)
		}
	}
}

const (
	discardMain = `compatibility_level = 3.6
queue_directory = DIR/spool
data_directory = DIR/data
maillog_file_prefixes = DIR
maillog_file = DIR/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.test
mynetworks = 127.0.0.0/8
in_flow_delay = 0
smtpd_peername_lookup = no
mydestination =
local_recipient_maps =
smtpd_recipient_restrictions = check_client_access static:discard
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_forbid_unauth_pipelining = yes
`
	discardMaster = `127.0.0.1:PORT inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
`
)

// discardExim starts an exim that throws away what it has taken.
func discardExim(b *testing.B) string {
	cache, err := os.UserCacheDir()
	if err == nil {
		_, err = os.Stat(filepath.Join(cache, "broadside-mta", "exim"))
	}
	if err != nil || os.Geteuid() != 0 {
		b.Skip("needs exim from .ci/mta, and root to start it")
	}
	return testkit.Exim(b, testkit.Certs(b).Valid, "acl_smtp_data = discard log_message = read").Addr()
}
