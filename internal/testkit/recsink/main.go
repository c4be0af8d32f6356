// Command recsink is the judge in tests of sending: an SMTP server that
// writes down what it was given. It shares no code with the rest of Broadside,
// so that one mistake cannot hide in both.
//
// It prints "listening on ADDR" and then writes one line per event to -out:
//
//	A <unixnano> <rcpt> <message-id> <bytes>   accepted: 250 follows
//	L <unixnano> <rcpt> <message-id> <bytes>   taken, but closed without a reply (-close-every)
//	N <unixnano> <rcpt> <message-id> <bytes>   not taken, and closed without a reply
//	T <unixnano> <rcpt> - 0                    answered 4xx
//	P <unixnano> <rcpt> - 0                    answered 5xx
//	H <unixnano> <rcpt> - 0                    answered with -throttle-reply
//
// The time is that of the final dot, or of RCPT; bytes are those of the
// message without dot-stuffing; a space in a value is written as %20.
//
// Who is refused is chosen by domain (-temp, -perm: "example.test=10,*=1" in
// percent) and by a hash of the address, so that the same address always fares
// the same. With -temp-times N an address is answered 4xx only N times.
//
// SIGUSR1 flushes the file and prints the counters; SIGTERM and SIGINT do that
// and end it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	addr, out        string
	control          string
	appendOut        bool
	delay, rcptDelay time.Duration
	temp, perm       rules
	tempReply        string
	permReply        string
	tempTimes        int
	stage            string
	throttle         int
	throttleFor      time.Duration
	throttleReply    string
	closeEvery       int64
	maxConns         int64
	maxPerConn       int
}

func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("recsink", flag.ContinueOnError)
	f.StringVar(&o.addr, "addr", "127.0.0.1:2526", "listen address; port 0 takes a free one")
	f.StringVar(&o.out, "out", "recsink.log", "record file (empty: record nothing)")
	f.StringVar(&o.control, "control", "", "address on which faults are ordered (fault.go; empty: none)")
	f.BoolVar(&o.appendOut, "append", false, "append to the record file")
	f.DurationVar(&o.delay, "delay", 0, "wait before the reply to the final dot")
	f.DurationVar(&o.rcptDelay, "rcpt-delay", 0, "wait before the reply to RCPT")
	f.Var(&o.temp, "temp", "domain=percent,... answered 4xx (* is any domain)")
	f.Var(&o.perm, "perm", "domain=percent,... answered 5xx (* is any domain)")
	f.StringVar(&o.tempReply, "temp-reply", "450 4.2.1 mailbox busy, try again later", "the 4xx reply")
	f.StringVar(&o.permReply, "perm-reply", "550 5.1.1 no such user", "the 5xx reply")
	f.IntVar(&o.tempTimes, "temp-times", 0, "answer an address 4xx only the first N times (0: always)")
	f.StringVar(&o.stage, "stage", "rcpt", "where 4xx and 5xx are given: rcpt or data")
	f.IntVar(&o.throttle, "throttle", 0, "recipients let through in any second, the others get -throttle-reply (0: no limit)")
	f.DurationVar(&o.throttleFor, "throttle-for", 0, "lift -throttle this long after the start (0: never)")
	f.StringVar(&o.throttleReply, "throttle-reply", "421 4.7.0 too many messages, slow down", "the reply; 421 closes as well")
	f.Int64Var(&o.closeEvery, "close-every", 0, "on every Nth message, close after the final dot without a reply")
	f.Int64Var(&o.maxConns, "max-conns", 0, "answer 421 to connections beyond this many (0: no limit)")
	f.IntVar(&o.maxPerConn, "max-per-conn", 0, "answer 421 and close after this many messages on a connection (0: no limit)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.stage != "rcpt" && o.stage != "data" {
		return o, fmt.Errorf("-stage is %q, expected rcpt or data", o.stage)
	}
	return o, nil
}

func main() {
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "recsink:", err)
		os.Exit(1)
	}
}

// run serves until a signal ends it.
func run(o options) error {
	rec, err := openRecorder(o.out, o.appendOut)
	if err != nil {
		return err
	}
	s := &server{o: o, rec: rec, judge: newJudge(o), gone: make(chan error, 2)}
	if err := s.listen(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT)
	if o.control != "" {
		control, err := net.Listen("tcp", o.control)
		if err != nil {
			return err
		}
		go func() { s.gone <- s.control(control) }()
		fmt.Println("control on", control.Addr())
	}
	fmt.Println("listening on", s.o.addr)
	tick := time.NewTicker(500 * time.Millisecond)
	for seq := 0; ; {
		select {
		case err := <-s.gone:
			return err
		case <-tick.C:
			if err := rec.flush(); err != nil {
				return err
			}
		case sig := <-signals:
			if err := rec.flush(); err != nil {
				return err
			}
			seq++
			fmt.Printf("%s seq=%d\n", s.stats(), seq)
			if sig != syscall.SIGUSR1 {
				return nil // connections end with the process
			}
		}
	}
}
