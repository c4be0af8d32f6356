// Command delayproxy makes a server on loopback look as far away as a real
// one: it forwards TCP connections and holds every byte for half of -rtt in
// each direction. Order and bandwidth stay as they are.
//
//	delayproxy -listen 127.0.0.1:0 -to 127.0.0.1:2525 -rtt 50ms
//
// It prints "listening on ADDR" and serves until it is killed.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// queue is how many pieces may be on their way in one direction: at 64 KB
// each more than TCP itself lets be in flight.
const queue = 4096

func main() {
	listen := flag.String("listen", "127.0.0.1:2600", "address to listen on; port 0 takes a free one")
	to := flag.String("to", "127.0.0.1:2525", "address to forward to")
	rtt := flag.Duration("rtt", 50*time.Millisecond, "round-trip time to add")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "delayproxy:", run(*listen, *to, *rtt))
	os.Exit(1)
}

// run serves until that fails.
func run(listen, to string, rtt time.Duration) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go forward(c, to, rtt) // ends with its connection, or with the process
	}
}

// forward connects c to the address to.
func forward(c net.Conn, to string, rtt time.Duration) {
	defer c.Close()
	time.Sleep(rtt) // of TCP's handshake
	server, err := net.DialTimeout("tcp", to, 10*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { carry(server, c, rtt/2) })
	both.Go(func() { carry(c, server, rtt/2) })
	both.Wait()
}

// A piece is what one read returned; without bytes it is the end.
type piece struct {
	due   time.Time
	bytes []byte
}

// carry copies from src to dst, each piece hold later than it came.
func carry(dst, src net.Conn, hold time.Duration) {
	way := make(chan piece, queue)
	go func() {
		defer close(way)
		for {
			b := make([]byte, 64<<10)
			n, err := src.Read(b)
			if n > 0 {
				way <- piece{time.Now().Add(hold), b[:n]}
			}
			if err != nil {
				way <- piece{due: time.Now().Add(hold)}
				return
			}
		}
	}()
	broken := false
	for p := range way {
		if broken {
			continue // until the reader has noticed
		}
		until(p.due)
		if len(p.bytes) == 0 {
			if h, ok := dst.(interface{ CloseWrite() error }); ok {
				_ = h.CloseWrite()
			}
		} else if _, err := dst.Write(p.bytes); err != nil {
			broken = true
			src.Close()
		}
	}
}

// until waits for a moment. Go's timers may be a millisecond late, which is
// much beside a round trip: the last two are the kernel's.
func until(t time.Time) {
	if d := time.Until(t) - 2*time.Millisecond; d > 0 {
		time.Sleep(d)
	}
	if d := time.Until(t); d > 0 {
		ts := syscall.NsecToTimespec(d.Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil)
	}
}
