package throttle

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// A reply is that of a slot script; see limits.lua. Times are those of Redis.
type reply struct {
	now, next int64
	spent     int // number of the quota that stands in the way, from 1; 0: none
	until     int64
	late      time.Duration // how long after its point a body may leave
	points    []int64
}

// ask runs reserve.lua. mayLeeway says whether the slots may have leeway.
func (p *Pacer) ask(ctx context.Context, ch chain, r Request, notBefore int64, mayLeeway bool) (reply, error) {
	err := p.sync(ctx, ch)
	if err != nil {
		return reply{}, err
	}
	answer, err := p.run(ctx, p.reserve, ch, r.Lead.Microseconds(), window.Microseconds(), r.N, notBefore, mayLeeway, r.urgent())
	if err != nil {
		return reply{}, fmt.Errorf("reserve %d slots of %s: %w", r.N, ch.tag, err)
	}
	return answer, nil
}

// pair runs match.lua with wishes in the time of the node that c is the clock of.
// The points are in the account's.
func (p *Pacer) pair(ctx context.Context, acct chain, delay int64, urgent int, wishes []int64, c *clock) (reply, error) {
	err := p.sync(ctx, acct)
	if err != nil {
		return reply{}, err
	}
	args := []any{delay, urgent}
	shift := c.shift(p.clocks.of(acct.tag))
	for _, w := range wishes {
		args = append(args, w+shift)
	}
	answer, err := p.run(ctx, p.match, acct, args...)
	if err == nil && len(answer.points) != len(wishes) {
		err = fmt.Errorf("%d points for %d wishes", len(answer.points), len(wishes))
	}
	if err != nil {
		return reply{}, fmt.Errorf("match %d slots of %s: %w", len(wishes), acct.tag, err)
	}
	return answer, nil
}

// sync reads Redis's clock until it is known well: one slow reply, as the first
// over a new connection is, would move all slots that are counted from it.
func (p *Pacer) sync(ctx context.Context, ch chain) error {
	c := p.clocks.of(ch.tag)
	for range enough {
		if c.sure(time.Now()) {
			return nil
		}
		_, err := p.run(ctx, p.match, ch, 0, 0)
		if err != nil {
			return fmt.Errorf("read the clock of %s: %w", ch.tag, err)
		}
	}
	return nil
}

// run calls a slot script, and learns the time and what was given from its reply.
func (p *Pacer) run(ctx context.Context, s *redis.Script, ch chain, args ...any) (reply, error) {
	sent := time.Now()
	numbers, err := s.Run(ctx, p.rdb, ch.keys(), append(p.args(ch), args...)...).Int64Slice()
	received := time.Now()
	if err != nil {
		return reply{}, err
	}
	head := 5 + len(ch.lines) + len(ch.counters)
	if len(numbers) < head {
		return reply{}, fmt.Errorf("reply of %d numbers, expected at least %d", len(numbers), head)
	}
	if p.clocks.of(ch.tag).observe(numbers[0], sent, received) {
		p.log.Info("redis clock was set", "line", ch.tag)
	}

	answer := reply{now: numbers[0], next: numbers[1], spent: int(numbers[2]), until: numbers[3], late: lateness, points: numbers[head:]}
	if late := numbers[4]; late > 0 {
		answer.late = time.Duration(late) * time.Microsecond
	}

	p.learn(ch, answer, numbers[5:head], received)
	return answer, nil
}

// learn remembers what was given of each line and counter.
func (p *Pacer) learn(ch chain, answer reply, marks []int64, received time.Time) {
	for i, l := range ch.lines {
		if end := marks[i]; end > 0 {
			p.memory.give(l, end, answer.now, answer.late >= leeway)
		}
	}

	n := 0
	for _, point := range answer.points {
		if point > 0 {
			n++
		}
	}
	for i, c := range ch.counters {
		p.memory.take(c, marks[len(ch.lines)+i], n, received)
	}
}

// args are those that every slot script begins with; see quota.lua.
func (p *Pacer) args(ch chain) []any {
	args := []any{len(ch.lines), len(ch.counters), p.id}
	for _, l := range ch.lines {
		end, wrote, until := p.memory.ofLine(l)
		args = append(args, interval(l.rate), l.slack, end, wrote, until)
	}
	for _, c := range ch.counters {
		bucket, newest, before := p.memory.ofCounter(c)
		args = append(append(args, c.args()...), bucket, newest, before)
	}
	return args
}

// maxReplay is how many lines one call tells Redis.
const maxReplay = 100

// Replay tells Redis what this process was given, which matters where Redis has lost
// its last writes: after it was restarted, before anything new is sent. Every Reserve
// does so for its own limits; Replay does for all that this process has
// reserved, so that others are not given the same again.
func (p *Pacer) Replay(ctx context.Context) error {
	now := time.Now()
	for _, all := range p.memory.chains(func(tag string) int64 { return p.clocks.of(tag).remote(now) }) {
		for !all.isEmpty() {
			part := all
			part.lines = all.lines[:min(maxReplay, len(all.lines))]
			_, err := p.run(ctx, p.match, part, 0, 0)
			if err != nil {
				return fmt.Errorf("tell what was reserved of %s: %w", all.tag, err)
			}
			all.lines = all.lines[len(part.lines):]
			all.counters = nil
		}
	}
	return nil
}

// Next returns when the next slot of a limit is free, unless others take it before;
// the zero time when it is now. It takes none.
func (p *Pacer) Next(ctx context.Context, limit Limit) (time.Time, error) {
	r, err := newRoute(p.prefix, []Limit{limit})
	if err != nil {
		return time.Time{}, err
	}

	ch := r.acct
	if limit.Campaign != "" {
		ch = r.camp
	}
	if ch.isEmpty() {
		return time.Time{}, nil
	}
	err = p.sync(ctx, ch)
	if err != nil {
		return time.Time{}, err
	}
	answer, err := p.run(ctx, p.match, ch, 0, 0)
	if err != nil {
		return time.Time{}, fmt.Errorf("find the next slot of %s: %w", ch.tag, err)
	}
	if answer.next <= answer.now {
		return time.Time{}, nil
	}
	return p.clocks.of(ch.tag).local(answer.next), nil
}
