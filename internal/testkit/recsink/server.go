package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A server answers connections and counts.
type server struct {
	o     options
	rec   *recorder
	judge *judge

	faults faults
	mu     sync.Mutex
	l      net.Listener // nil while a fault refuses connections; guarded by mu
	gone   chan error   // why connections are no longer accepted

	accepted, temp, perm, lost, early    atomic.Int64
	forgotten                            atomic.Int64
	conns, open, peakOpen, bytes, number atomic.Int64
	first, last                          atomic.Int64 // unixnano of the first and last message taken
}

// listen opens the port, unless it is open, and accepts connections.
func (s *server) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.o.addr)
	if err != nil {
		return err
	}
	s.l, s.o.addr = l, l.Addr().String()
	go s.accept(l) // ends with the listener, or with the process
	return nil
}

// unlisten closes the port: connections are refused, those that are open stay.
func (s *server) unlisten() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l == nil {
		return nil
	}
	l := s.l
	s.l = nil
	return l.Close()
}

func (s *server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.gone <- fmt.Errorf("accept connection: %w", err)
			return
		}
		go s.serve(c) // ends with its connection, or with the process
	}
}

// stats returns the counters in one line.
func (s *server) stats() string {
	secs := float64(s.last.Load()-s.first.Load()) / 1e9
	rate := 0.0
	if secs > 0 {
		rate = float64(s.accepted.Load()) / secs
	}
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // zeros say enough
	return fmt.Sprintf("accepted=%d temp=%d perm=%d lost=%d early=%d conns=%d open=%d peak_open=%d bytes=%d first=%d last=%d secs=%.3f rate=%.0f cpu_user=%.2f cpu_sys=%.2f",
		s.accepted.Load(), s.temp.Load(), s.perm.Load(), s.lost.Load(), s.early.Load(),
		s.conns.Load(), s.open.Load(), s.peakOpen.Load(), s.bytes.Load(),
		s.first.Load(), s.last.Load(), secs, rate, seconds(u.Utime), seconds(u.Stime))
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

// A dialogue is one connection. Replies are kept back while another command
// is at hand, so that those to pipelined commands leave together.
type dialogue struct {
	s     *server
	c     net.Conn
	r     *bufio.Reader
	w     *bufio.Writer
	mail  bool
	rcpts []string
	taken int // messages on this connection
}

func (s *server) serve(c net.Conn) {
	defer c.Close()
	s.conns.Add(1)
	open := s.open.Add(1)
	defer s.open.Add(-1)
	for p := s.peakOpen.Load(); open > p && !s.peakOpen.CompareAndSwap(p, open); {
		p = s.peakOpen.Load()
	}
	d := &dialogue{s: s, c: c, r: bufio.NewReaderSize(c, 32<<10), w: bufio.NewWriterSize(c, 1<<10)}
	defer func() { d.w.Flush() }() // a fault may have changed the writer
	if s.o.maxConns > 0 && open > s.o.maxConns {
		d.say("421 4.7.0 too many connections")
		return
	}
	if !d.strike("connect") {
		return
	}
	d.say("220 recsink ESMTP")
	for {
		if d.r.Buffered() == 0 && d.w.Flush() != nil {
			return
		}
		line, err := d.r.ReadSlice('\n')
		if err != nil || !d.answer(string(bytes.TrimRight(line, "\r\n"))) {
			return
		}
	}
}

func (d *dialogue) say(line string) {
	_, _ = d.w.WriteString(line) // the error stays, and shows in Flush
	_, _ = d.w.WriteString("\r\n")
}

// answer answers one command; false closes the connection.
func (d *dialogue) answer(line string) bool {
	verb, _, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	if !d.strike(strings.ToLower(verb)) {
		return false
	}
	switch verb {
	case "MAIL":
		if n := d.s.o.maxPerConn; n > 0 && d.taken >= n {
			d.say("421 4.7.0 too many messages on this connection")
			return false
		}
		d.reset()
		d.mail = true
		d.say("250 2.1.0 ok")
	case "RCPT":
		return d.rcpt(between(line))
	case "DATA":
		return d.data()
	case "EHLO":
		d.reset()
		d.say("250-recsink\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES")
	case "HELO":
		d.reset()
		d.say("250 recsink")
	case "RSET":
		d.reset()
		d.say("250 2.0.0 ok")
	case "NOOP":
		d.say("250 2.0.0 ok")
	case "QUIT":
		d.say("221 2.0.0 bye")
		return false
	default:
		d.say("502 5.5.2 not implemented")
	}
	return true
}

func (d *dialogue) reset() { d.mail, d.rcpts = false, d.rcpts[:0] }

func (d *dialogue) rcpt(addr string) bool {
	o := &d.s.o
	if !d.mail {
		d.say("503 5.5.1 MAIL first")
		return true
	}
	time.Sleep(o.rcptDelay)
	if d.s.judge.tooFast() {
		d.s.rec.add('H', time.Now(), addr, "", 0)
		d.say(o.throttleReply)
		return !strings.HasPrefix(o.throttleReply, "421")
	}
	if o.stage == "rcpt" {
		if refused, stay := d.refuse(addr); refused {
			return stay
		}
	}
	d.rcpts = append(d.rcpts, addr)
	d.say("250 2.1.5 ok")
	return true
}

// refuse answers 4xx or 5xx if the judge says so. The connection does not stay
// after a 421.
func (d *dialogue) refuse(addr string) (refused, stay bool) {
	kind := d.s.judge.verdict(addr)
	reply := d.s.o.permReply
	switch kind {
	case 0:
		return false, true
	case 'T':
		reply = d.s.o.tempReply
		d.s.temp.Add(1)
	case 'P':
		d.s.perm.Add(1)
	}
	d.s.rec.add(kind, time.Now(), addr, "", 0)
	d.say(reply)
	return true, !strings.HasPrefix(reply, "421")
}

func (d *dialogue) data() bool {
	s := d.s
	if len(d.rcpts) == 0 {
		d.say("503 5.5.1 RCPT first")
		return true
	}
	if d.r.Buffered() > 0 { // a body that did not wait for its 354
		s.early.Add(1)
	}
	d.say("354 go ahead")
	if d.w.Flush() != nil {
		return false
	}
	if !d.strike("body") {
		_, _ = d.r.ReadSlice('\n') // the body was begun, or was not
		d.take('N', &s.forgotten, time.Now(), "", 0)
		return false
	}
	id, size, err := readMessage(d.r)
	if err != nil {
		return false
	}
	at := time.Now()
	if f := s.faults.at("dot"); f != nil {
		return d.dot(f, at, id, size)
	}
	d.taken++
	n := s.number.Add(1)
	time.Sleep(s.o.delay)
	if s.o.closeEvery > 0 && n%s.o.closeEvery == 0 {
		d.take('L', &s.lost, at, id, size)
		return false
	}
	if s.o.stage == "data" {
		if refused, stay := d.refuse(d.rcpts[0]); refused {
			d.reset()
			return stay
		}
	}
	d.take('A', &s.accepted, at, id, size)
	s.bytes.Add(int64(size))
	d.reset()
	d.say("250 2.0.0 ok: queued as " + strconv.FormatInt(n, 16))
	return true
}

// dot answers a final dot as a fault has it. What hangs or drips is answered
// well in the end; of the others the sender cannot know that they were taken.
func (d *dialogue) dot(f *fault, at time.Time, id string, size int) bool {
	s := d.s
	switch f.action {
	case "hang", "drip":
		d.take('A', &s.accepted, at, id, size)
		d.w.Flush()
		if f.action == "drip" {
			d.w = bufio.NewWriter(&dripper{d.c, f.lifted})
		} else {
			<-f.lifted
		}
		d.reset()
		d.say("250 2.0.0 ok")
		return true
	case "forget":
		d.take('N', &s.forgotten, at, id, size)
		return false
	case "421":
		s.rec.add('T', at, d.rcpts[0], "", 0)
		d.say("421 4.3.2 shutting down")
		return false
	case "garbage":
		d.say("\x00\xff\x1b[31m 25O maybe")
	case "endless":
		d.take('L', &s.lost, at, id, size)
		d.drone(f)
		return false
	case "long":
		d.say("250 " + strings.Repeat("x", longLine))
	}
	d.take('L', &s.lost, at, id, size)
	return false
}

// take records and counts every recipient of a message.
func (d *dialogue) take(kind byte, count *atomic.Int64, at time.Time, id string, size int) {
	d.s.first.CompareAndSwap(0, at.UnixNano())
	d.s.last.Store(at.UnixNano())
	count.Add(int64(len(d.rcpts)))
	for _, a := range d.rcpts {
		d.s.rec.add(kind, at, a, id, size)
	}
}

// between returns the text between the first < and the last >.
func between(s string) string {
	i, j := strings.IndexByte(s, '<'), strings.LastIndexByte(s, '>')
	if i < 0 || j < i {
		return ""
	}
	return s[i+1 : j]
}

// readMessage reads a message line by line up to the final dot, and returns
// the value of its Message-ID and its size without dot-stuffing.
func readMessage(r *bufio.Reader) (id string, size int, err error) {
	const field = "message-id:"
	header, folded, lineStart := true, false, true
	cr := false // the piece before was part of a line and ended with CR
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return "", 0, err
		}
		if lineStart && line[0] == '.' {
			if string(line) == ".\r\n" {
				return id, size, nil
			}
			line = line[1:]
		}
		size += len(line)
		if header && lineStart {
			switch text := string(bytes.TrimRight(line, "\r\n")); {
			case text == "":
				header = false
			case folded && (text[0] == ' ' || text[0] == '\t'):
				id, folded = strings.TrimSpace(text), false
			case len(text) >= len(field) && strings.EqualFold(text[:len(field)], field):
				id = strings.TrimSpace(text[len(field):])
				folded = id == ""
			default:
				folded = false
			}
		}
		lineStart = bytes.HasSuffix(line, []byte("\r\n")) || (cr && string(line) == "\n")
		cr = line[len(line)-1] == '\r'
	}
}
