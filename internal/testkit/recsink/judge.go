package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A rule refuses percent of the addresses of domain.
type rule struct {
	domain  string
	percent float64
}

// rules is a flag value: domain=percent,...
type rules []rule

func (r *rules) String() string { return fmt.Sprint(*r) }

// Set adds the rules in s.
func (r *rules) Set(s string) error {
	for f := range strings.SplitSeq(s, ",") {
		domain, p, ok := strings.Cut(f, "=")
		percent, err := strconv.ParseFloat(p, 64)
		if !ok || err != nil || percent < 0 || percent > 100 {
			return fmt.Errorf("rule %q, expected domain=percent", f)
		}
		*r = append(*r, rule{strings.ToLower(domain), percent})
	}
	return nil
}

// percent returns what the first rule for domain says.
func (r rules) percent(domain string) float64 {
	for _, x := range r {
		if x.domain == "*" || x.domain == domain {
			return x.percent
		}
	}
	return 0
}

// place maps an address to a fixed number in [0, 100).
func place(addr string) float64 {
	h := sha256.Sum256([]byte(addr))
	return float64(binary.BigEndian.Uint64(h[:])%1e6) / 1e4
}

// A judge decides who is refused.
type judge struct {
	o     options
	start time.Time

	mu      sync.Mutex
	refused map[string]int // how often each address was answered 4xx
	passed  []time.Time    // ring: when the last -throttle recipients passed
	next    int            // index in passed of the oldest
}

func newJudge(o options) *judge {
	return &judge{o: o, start: time.Now(), refused: map[string]int{}, passed: make([]time.Time, max(0, o.throttle))}
}

// verdict returns 'P' or 'T' for an address that is refused, else 0. The low
// places are refused for good, those next to them for now.
func (j *judge) verdict(addr string) byte {
	if len(j.o.temp)+len(j.o.perm) == 0 {
		return 0
	}
	addr = strings.ToLower(addr)
	domain := addr[strings.LastIndexByte(addr, '@')+1:]
	at, perm, temp := place(addr), j.o.perm.percent(domain), j.o.temp.percent(domain)
	switch {
	case at < perm:
		return 'P'
	case at >= perm+temp:
		return 0
	case j.o.tempTimes == 0:
		return 'T'
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refused[addr] >= j.o.tempTimes {
		return 0
	}
	j.refused[addr]++
	return 'T'
}

// tooFast reports whether another recipient now is over -throttle.
func (j *judge) tooFast() bool {
	if len(j.passed) == 0 || (j.o.throttleFor > 0 && time.Since(j.start) > j.o.throttleFor) {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if now.Sub(j.passed[j.next]) < time.Second {
		return true
	}
	j.passed[j.next] = now
	j.next = (j.next + 1) % len(j.passed)
	return false
}
