package throttle

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

type LaneState string

const (
	Open   LaneState = "open"
	Slowed LaneState = "slowed"
	Paused LaneState = "paused"
	Closed LaneState = "closed"
)

type Lane struct {
	Level, Ceiling float64
	Code, Reason   string
	Since, Until   time.Time
	S              LaneState
}
type Signal struct {
	Rate, Ceiling       float64
	Backoff, MaxBackoff time.Duration
	Factor              float64
	Block               bool
	Code, Reason        string
}

func (l Lane) State(now time.Time) LaneState                           { return Open }
func (l Lane) Rate(now time.Time) float64                              { return 0 }
func (l Lane) Slow(now time.Time, s Signal) Lane                       { return l }
func (l Lane) Probe(now time.Time) (Lane, bool)                        { return l, true }
func (l Lane) Accepted(now time.Time) (Lane, bool)                     { return l, true }
func (l Lane) Close(now, from time.Time, code, reason string) Lane     { return l }

type StormLimit struct{}
type Storm struct{ Limit StormLimit }

func (s *Storm) Add(now time.Time, hard bool) (bool, time.Time) { return false, time.Time{} }

type Lanes struct{}

func (l *Lanes) Read(ctx context.Context, accounts ...string) (map[string]map[string]Lane, error) {
	return nil, nil
}
func (l *Lanes) Change(ctx context.Context, account, lane string, f func(Lane) Lane) (before, after Lane, err error) {
	return
}

type Learnt struct {
	Connections, MessagesPerConnection int
	Until                              time.Time
}

func (l *Lanes) Learn(ctx context.Context, account string, k Learnt) error { return nil }
func (l *Lanes) Learnt(ctx context.Context, account string) (Learnt, error) { return Learnt{}, nil }

func NewLanes(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script) *Lanes { return &Lanes{} }
