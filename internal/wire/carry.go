package wire

import (
	"bytes"
	"net"
	"time"
)

// inFlight is how many pieces may be on their way in one direction: at 64 KB
// each more than TCP itself lets be in flight.
const inFlight = 1024

// A piece is what one read returned, and when it is due; without bytes it is
// the end, which travels no faster than the rest.
type piece struct {
	due   time.Time
	bytes []byte
}

// carry copies from src to dst until one side ends, and then ends both.
func (w *Wire) carry(dst, src net.Conn) {
	way := make(chan piece, w.room())
	go w.read(way, src) // ends with src, which is closed below
	w.write(dst, way)
	dst.Close()
	src.Close()
	for range way { // until read has noticed
	}
}

// room is none on a wire without length: the sender waits for the reader.
func (w *Wire) room() int {
	if w.rtt == 0 {
		return 0
	}
	return inFlight
}

func (w *Wire) read(way chan<- piece, src net.Conn) {
	defer close(way)
	b := make([]byte, 64<<10)
	for {
		n, err := src.Read(b)
		due := time.Now().Add(w.rtt / 2)
		if n > 0 {
			way <- piece{due, bytes.Clone(b[:n])}
		}
		if err != nil {
			way <- piece{due: due}
			return
		}
	}
}

// write hands on what is due, until the end or until dst takes no more.
func (w *Wire) write(dst net.Conn, way <-chan piece) {
	a, err := newAlarm()
	if err != nil {
		return // both ends see the connection closed
	}
	defer a.close()
	for p := range way {
		if a.wait(p.due) != nil || !w.passes() || len(p.bytes) == 0 {
			return
		}
		if _, err := dst.Write(p.bytes); err != nil {
			return
		}
	}
}
