package sender

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/internal/testkit"
)

// A scriptedServer is an SMTP server with a script for what it answers about each recipient:
// to RCPT, and to the message. "" is 250, "421 ..." also closes. Its replies to
// what came together leave together, except for those before a question.
type scriptedServer struct {
	rcpt, dot func(to string) string // nil: 250 for everybody
	each      bool                   // every reply leaves by itself

	l  net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	taken map[string]int
}

func (j *scriptedServer) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	j.l, j.taken = l, map[string]int{}
	j.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			j.mu.Lock()
			j.conns = append(j.conns, c)
			j.mu.Unlock()
			j.wg.Go(func() { j.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		j.mu.Lock()
		for _, c := range j.conns {
			c.Close()
		}
		j.mu.Unlock()
		j.wg.Wait()
	})
}

func (j *scriptedServer) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10) // all that was written at once: in memory a write waits for its reader
	w := bufio.NewWriter(c)
	defer w.Flush()
	text := textproto.NewReader(r)
	say := func(reply string) bool {
		_, _ = w.WriteString(reply + "\r\n") // the error stays, and shows in Flush
		return (!j.each && r.Buffered() > 0 || w.Flush() == nil) && !strings.HasPrefix(reply, "421")
	}
	ask := func(question func(string) string, to string) string {
		if question != nil && w.Flush() == nil {
			if reply := question(to); reply != "" {
				return reply
			}
		}
		return "250 2.0.0 ok"
	}
	to := ""
	for more := say("220 test"); more; {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "EHLO":
			more = say("250-test\r\n250 PIPELINING")
		case "MAIL", "RSET":
			to = ""
			more = say("250 2.0.0 ok")
		case "RCPT":
			to = strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">")
			reply := ask(j.rcpt, to)
			if reply[0] != '2' {
				to = ""
			}
			more = say(reply)
		case "DATA":
			if to == "" {
				more = say("503 5.5.1 RCPT first")
				continue
			}
			if more = say("354 go") && w.Flush() == nil; !more {
				return
			}
			if _, err := text.ReadDotBytes(); err != nil {
				return
			}
			reply := ask(j.dot, to)
			if reply[0] == '2' {
				j.mu.Lock()
				j.taken[to]++
				j.mu.Unlock()
			}
			more = say(reply)
		case "QUIT":
			say("221 2.0.0 bye")
			return
		}
	}
}

// took returns how often the server has taken a message for each recipient.
func (j *scriptedServer) took() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]int{}
	for to, n := range j.taken {
		out[to] = n
	}
	return out
}

// A spy counts the writes that end a message, and notes when they were made.
type spy struct {
	mu         sync.Mutex
	ends       []time.Time
	overlapped int // with an envelope behind the end
}

func (s *spy) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	return &spied{c, s}, err
}

type spied struct {
	net.Conn
	s *spy
}

func (c *spied) Write(p []byte) (int, error) {
	if _, behind, ok := bytes.Cut(p, []byte("\r\n.\r\n")); ok {
		c.s.mu.Lock()
		c.s.ends = append(c.s.ends, time.Now())
		if bytes.HasPrefix(behind, []byte("MAIL FROM:<")) {
			c.s.overlapped++
		}
		c.s.mu.Unlock()
	}
	return c.Conn.Write(p)
}

// toServer lets the fixture's worker send to addr over some connections.
func (b *fixture) toServer(addr string, conns int, more ...func(*Config)) *spy {
	s := &spy{}
	b.alter = func(cfg *Config) {
		host, port, _ := net.SplitHostPort(addr)
		way := &cfg.Ways[0]
		way.Connections, way.SMTP.Host, way.SMTP.Dial = conns, host, s.dial
		way.SMTP.Port, _ = strconv.Atoi(port)
		for _, f := range more {
			f(cfg)
		}
	}
	return s
}

// people returns n addresses whose local part begins with name.
func people(name string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s-%d@example.org", name, i))
	}
	return out
}

// issue marks all recipients as issued, so that it shows which are given back.
func (b *fixture) issue() {
	b.t.Helper()
	indexes := make([]int, len(b.to))
	for i := range indexes {
		indexes[i] = i
	}
	if _, err := b.ledger.Issue(b.t.Context(), b.run, 0, len(indexes), time.Minute, false, indexes); err != nil {
		b.t.Fatal(err)
	}
}

// cells returns what the ledger has of each recipient: state and attempts.
func (b *fixture) cells() map[string]string {
	b.t.Helper()
	cells, err := b.ledger.Page(b.t.Context(), b.run, 0, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]string{}
	for i, c := range cells {
		out[b.to[i]] = strings.ReplaceAll(fmt.Sprintf("%c%d", c.State, c.Attempts), "\x00", "-")
	}
	return out
}

// settledAll checks that no claim is left open.
func (b *fixture) settledAll() {
	b.t.Helper()
	claims, err := b.ledger.Claims(b.t.Context(), b.run)
	if err != nil || len(claims) != 0 {
		b.t.Errorf("claims %v, %v; want every outcome recorded", claims, err)
	}
}

// Every recipient gets one message, most of them with the next one's envelope behind
// it, and every outcome is recorded.
func TestOverlapSendsOnceToEverybody(t *testing.T) {
	t.Parallel()
	const n = 200
	r := testkit.NewRecsink(t)
	b := newFixture(t, people("p", n)...)
	s := b.toServer(r.Addr(), 2)
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == n })
	accepted := r.Accepted()
	for _, to := range b.to {
		if accepted[to] != 1 {
			t.Errorf("%s got %d messages", to, accepted[to])
		}
	}

	if s.overlapped < n*3/4 {
		t.Errorf("%d of %d messages came with an envelope behind them, want most", s.overlapped, n)
	}

	b.settledAll()
}

// What is refused, deferred or ends a connection under overlap concerns its
// own recipient; the others of the connection go on.
func TestRefusalsUnderOverlap(t *testing.T) {
	t.Parallel()
	answers := []struct{ name, rcpt, dot, want string }{
		{name: "fine", want: "a1"},
		{name: "unknown", rcpt: "550 5.1.1 no such user", want: "b1"},
		{name: "spam", dot: "554 5.7.1 looks like spam", want: "f1"},
		{name: "late-unknown", dot: "550 5.1.1 no such user", want: "b1"},
		{name: "busy", rcpt: "450 4.2.1 mailbox busy", want: "d1"},
		{name: "late-busy", dot: "450 4.2.1 mailbox busy", want: "d1"},
		{name: "enough", rcpt: "421 4.7.0 maximum message count per session reached", want: "a1"}, // at the first try
	}
	var to []string
	want, taken := map[string]string{}, map[string]int{}
	for i := range 12 {
		for k, a := range answers {
			rcpt := fmt.Sprintf("%d+%s-%d@example.org", k, a.name, i)
			to, want[rcpt] = append(to, rcpt), a.want
			if a.want == "a1" {
				taken[rcpt] = 1
			}
		}
	}

	of := func(rcpt string) int { return int(rcpt[0] - '0') }
	var mu sync.Mutex
	tried := map[string]bool{}
	j := &scriptedServer{
		rcpt: func(rcpt string) string {
			a := answers[of(rcpt)]
			mu.Lock()
			defer mu.Unlock()
			if a.name == "enough" && tried[rcpt] {
				return ""
			}
			tried[rcpt] = true
			return a.rcpt
		},
		dot: func(rcpt string) string { return answers[of(rcpt)].dot },
	}
	j.listen(t)
	b := newFixture(t, to...)
	s := b.toServer(j.l.Addr().String(), 2)
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Pending]+c[campaign.Issued]+c[campaign.Sending] == 0 })
	if diff := cmp.Diff(want, b.cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}

	if diff := cmp.Diff(taken, j.took()); diff != "" {
		t.Errorf("messages taken (-want +got):\n%s", diff)
	}
	if s.overlapped < len(to)/5 { // a refusal ends the chain of its connection
		t.Errorf("%d of %d envelopes came behind a message", s.overlapped, len(to))
	}

	b.settledAll()
}

// A server answers a message with 421 and hangs up, when the next one's envelope
// is under way: neither is sent, lost or charged. A new connection takes the
// others on, and the recipient that got the reply waits.
func TestAServerThatHangsUpUnderOverlap(t *testing.T) {
	t.Parallel()
	const n = 40
	for _, down := range []struct{ name, rcpt, dot string }{
		{name: "at the message", dot: "421 4.3.2 going down"},
		{name: "at the envelope", rcpt: "421 4.3.2 going down"},
	} {
		t.Run(down.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			asked := 0
			fail := func(reply string) func(string) string {
				return func(string) string {
					mu.Lock()
					defer mu.Unlock()
					if asked++; reply != "" && asked == n/2 {
						return reply
					}
					return ""
				}
			}
			j := &scriptedServer{}
			if down.dot != "" {
				j.dot = fail(down.dot)
			} else {
				j.rcpt = fail(down.rcpt)
			}
			j.listen(t)
			b := newFixture(t, people("p", n)...)
			b.issue()
			b.toServer(j.l.Addr().String(), 1)
			c := b.work(b.supp, func(c campaign.Counts) bool {
				return c[campaign.Accepted] == n-1 && c[campaign.Sending]+c[campaign.Issued] == 0
			})
			if c[campaign.Pending] != 1 {
				t.Errorf("counts %v, want the one that got the reply pending", c)
			}
			for to, cell := range b.cells() {
				if j.took()[to] == 1 && cell != "a1" || j.took()[to] == 0 && cell != "-0" {
					t.Errorf("%s: %d messages, cell %s", to, j.took()[to], cell)
				}
			}
			b.settledAll()
			b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == n })
			for to, times := range j.took() {
				if times != 1 {
					t.Errorf("%s got %d messages", to, times)
				}
			}
		})
	}
}

// Until the envelope behind a message is answered it is not known whether the reply
// was that of the message: the outcome waits for it, and no longer.
func TestAnOutcomeIsFinalWithTheAnswerBehindIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		each bool // else the reply to MAIL comes with the one to the message
	}{{"replies one by one", true}, {"replies together", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked, release, both := make(chan struct{}), make(chan struct{}), make(chan struct{})
			j := &scriptedServer{each: tt.each, rcpt: func(to string) string {
				until := both // the envelope of the second goes with the body of the first
				if strings.HasPrefix(to, "slow") {
					close(asked)
					until = release
				}
				select {
				case <-until:
				case <-t.Context().Done():
				}
				return ""
			}}
			j.listen(t)
			b := newFixture(t, "ada@example.org", "slow@example.org")
			b.toServer(j.l.Addr().String(), 1, func(cfg *Config) {
				tasks := cfg.Tasks
				cfg.Tasks = func(ctx context.Context, handle func(context.Context, campaign.Task)) error {
					return tasks(ctx, func(ctx context.Context, task campaign.Task) {
						handle(ctx, task)
						if task.Index == 1 {
							close(both)
						}
					})
				}
			})
			waits := asked
			b.work(b.supp, func(c campaign.Counts) bool {
				select {
				case <-waits:
					if c[campaign.Accepted] != 0 {
						t.Errorf("before the answer: %v", c)
					}
					waits = nil
					close(release)
				default:
				}
				return c[campaign.Accepted] == 2
			})
			b.settledAll()
		})
	}
}

// At a shutdown an envelope that went ahead comes to nothing: no body follows
// the 354, the recipient goes back, and the outcome of the one before is recorded.
func TestAShutdownWithAnEnvelopeAhead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		dot, silent bool // the server waits at the message, not at RCPT; for longer than the shutdown
	}{
		{name: "354 comes after the end"},
		{name: "all replies come after the end", dot: true},
		{name: "the server is silent", silent: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked, ending, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
			wait := func() {
				close(asked)
				if <-ending; tt.silent {
					<-over
				}
			}
			j := &scriptedServer{}
			if tt.dot {
				j.dot = func(string) string { wait(); return "" }
			} else {
				j.rcpt = func(to string) string {
					if strings.HasPrefix(to, "next") {
						wait()
					}
					return ""
				}
			}
			j.listen(t)
			b := newFixture(t, "ada@example.org", "next@example.org")
			b.issue()
			s := b.toServer(j.l.Addr().String(), 1, func(cfg *Config) {
				cfg.Drain = 300 * time.Millisecond
				tasks := cfg.Tasks
				cfg.Tasks = func(ctx context.Context, handle func(context.Context, campaign.Task)) error {
					defer close(ending) // the worker's context has ended
					return tasks(ctx, handle)
				}
			})
			b.work(b.supp, func(campaign.Counts) bool {
				select {
				case <-asked:
					return true
				default:
					return false
				}
			})
			close(over)
			want := map[string]string{"ada@example.org": "a1", "next@example.org": "-0"}
			if diff := cmp.Diff(want, b.cells()); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]int{"ada@example.org": 1}, j.took()); diff != "" {
				t.Errorf("messages taken (-want +got):\n%s", diff)
			}
			if s.overlapped != 1 || len(s.ends) != 1 {
				t.Errorf("%d messages, %d with an envelope behind; want one of each", len(s.ends), s.overlapped)
			}
			b.settledAll()
		})
	}
}

// A rate is a ceiling under overlap too, at a server that takes 20 ms for a
// message.
func TestOverlapKeepsTheRate(t *testing.T) {
	t.Parallel()
	const n, rate = 250, 100
	r := testkit.NewRecsink(t, "-delay", "20ms")
	b := newFixture(t, people("p", n)...)
	s := b.toServer(r.Addr(), 4, func(cfg *Config) { cfg.Ways[0].Rate = rate })
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == n })
	slices.SortFunc(s.ends, time.Time.Compare)
	if len(s.ends) != n {
		t.Fatalf("%d messages, want %d", len(s.ends), n)
	}

	most := 0
	for i, at := range s.ends {
		k, _ := slices.BinarySearchFunc(s.ends, at.Add(time.Second), time.Time.Compare)
		most = max(most, k-i)
	}

	if most > rate {
		t.Errorf("%d messages in the fullest second, want at most %d", most, rate)
	}

	if s.overlapped == 0 {
		t.Error("nothing was overlapped")
	}
}
