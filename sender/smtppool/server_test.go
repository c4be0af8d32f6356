package smtppool

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A mailServer takes every message. It counts connections as the client
// opens and closes them.
type mailServer struct {
	mu          sync.Mutex
	open, most  int // of those that dial made
	total, mail int
	conns       []net.Conn
	wg          sync.WaitGroup
}

// dial gives a Pool a connection to the server: a pipe.
func (s *mailServer) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	s.start(server)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	s.most = max(s.most, s.open)

	return &closeConn{Conn: client, closed: func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	}}, nil
}

// closeConn tells when it is closed for the first time.
type closeConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *closeConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

func (s *mailServer) start(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	s.conns = append(s.conns, conn)
	s.wg.Go(func() {
		defer conn.Close()
		s.serve(conn)
	})
}

// serve answers until the client has gone. It answers a batch in one write.
func (s *mailServer) serve(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 64<<10)
	w := bufio.NewWriter(conn)
	_, _ = w.WriteString("220 hi\r\n")
	for inData := false; ; {
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}

		answer := "250 ok\r\n"
		switch {
		case inData && string(line) != ".\r\n":
			continue
		case inData:
			inData = false
			s.mu.Lock()
			s.mail++
			s.mu.Unlock()
		case strings.HasPrefix(string(line), "EHLO"):
			answer = "250-hi\r\n250 PIPELINING\r\n"
		case string(line) == "DATA\r\n":
			inData = true
			answer = "354 go\r\n"
		case string(line) == "QUIT\r\n":
			_, _ = w.WriteString("221 bye\r\n")
			_ = w.Flush()
			return
		}

		_, _ = w.WriteString(answer)
	}
}

func (s *mailServer) counts() (open, most, total, mail int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, s.most, s.total, s.mail
}

// leases counts what is out, up to a limit.
type leases struct {
	mu        sync.Mutex
	limit     int
	out, most int
	contended bool
	excess    int
	share     int // not 0: excess is what is out beyond it
	slow      time.Duration
	err       error
}

// unlimited returns leases of which there is always one more.
func unlimited() *leases { return &leases{limit: -1} }

func (l *leases) Acquire(context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.out == l.limit {
		return false, l.err
	}
	l.out++
	l.most = max(l.most, l.out)
	return true, nil
}

func (l *leases) Release(context.Context) error {
	time.Sleep(l.slow)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out--
	return nil
}

func (l *leases) counts() (out, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out, l.most
}

func (l *leases) Excess(context.Context) (wanted bool, excess int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.share > 0 {
		return true, max(0, l.out-l.share)
	}
	return l.contended, l.excess
}

// tcpPool is a Pool on real sockets.
func tcpPool(t testing.TB, cfg Config) (*Pool, *mailServer) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	srv := &mailServer{}
	var accept sync.WaitGroup
	accept.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			srv.start(conn)
		}
	})
	cfg.Account = "test"
	cfg.Host = "127.0.0.1"
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	cfg.TLS = TLSNone
	p := New(cfg, unlimited(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		l.Close()
		accept.Wait()
		srv.wg.Wait()
	})

	return p, srv
}

// newPool returns a Pool on pipes to a server, or on cfg.Dial.
func newPool(t *testing.T, cfg Config, l Leases) (*Pool, *mailServer) {
	t.Helper()
	srv := &mailServer{}
	if cfg.Dial == nil {
		cfg.Dial = srv.dial
	}

	cfg.Account = "test"
	cfg.Host = "127.0.0.1"
	cfg.TLS = TLSNone
	p := New(cfg, l, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		srv.wg.Wait()
	})

	return p, srv
}

func get(t *testing.T, p *Pool) *Conn {
	t.Helper()
	c, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
