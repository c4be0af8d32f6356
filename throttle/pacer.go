package throttle

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// pace is the share of a limit that slots are handed out at.
	pace = 0.98
	// window is how far beyond now + lead one call may reserve.
	window = 250 * time.Millisecond
	// maxLead bounds how far ahead of its body a slot may be taken. A lane that
	// needs longer is late and reserves again, message in hand.
	maxLead = 5 * time.Second
	// maxDelay is the longest that a body waits from the point of its first limit to
	// that of the last. It costs the other limits 2 % of their pace.
	maxDelay = 20 * time.Millisecond
	// rowSlack is what the last limit of a route is stretched by, from fast messages a
	// second on: a thousandth of its pace.
	rowSlack = time.Millisecond
	fast     = 200
	// reach is how far ahead of its reservation a body can leave: a bit more than all
	// of the above. line.lua has it too.
	reach = 6 * time.Second
	// lookAgain is how long to wait at most for a quota that is spent: slots may be
	// given back, and the quota may be raised.
	lookAgain = 10 * time.Second
	// maxSlots bounds one call.
	maxSlots = 1000
	// soon is when to ask again at the earliest.
	soon = 5 * time.Millisecond
	// lateness is how long after its slot a body may leave.
	lateness = 20 * time.Millisecond
	// leeway is the same for the slots of limits that are far from being reached: the
	// points of a line are further apart while some have it. line.lua has it too.
	leeway = 250 * time.Millisecond
	// tries is how often one call looks for a moment that suits both hash slots.
	tries = 3
)

//go:embed lua/line.lua
var lineSource string

//go:embed lua/limits.lua
var limitsSource string

//go:embed lua/reserve.lua
var reserveSource string

//go:embed lua/match.lua
var matchSource string

// A Pacer hands out slots. It is safe for concurrent use; all Pacers on one Redis
// and prefix share the limits.
type Pacer struct {
	rdb                                    redis.UniversalClient
	prefix                                 string
	id                                     string // of this Pacer, in Redis
	reserve, match, giveBack, used, refund *redis.Script
	clocks                                 *clocks
	memory                                 *memory
	log                                    *slog.Logger
}

// New returns a Pacer on rdb. lua makes a script of a source; for a store that
// does not know script flags it strips them. Without a log nothing is logged.
func New(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script, log *slog.Logger) *Pacer {
	_, cluster := rdb.(*redis.ClusterClient)
	slots := lineSource + quotaSource
	return &Pacer{
		rdb: rdb, prefix: prefix, id: rand.Text()[:10],
		reserve:  lua(slots + limitsSource + reserveSource),
		match:    lua(slots + limitsSource + matchSource),
		giveBack: lua(lineSource + giveBackSource),
		used:     lua(slots + usedSource),
		refund:   lua(slots + refundSource),
		clocks:   &clocks{base: time.Now(), perTag: cluster, byTag: map[string]*clock{}},
		memory:   newMemory(),
		log:      cmp.Or(log, slog.New(slog.DiscardHandler)),
	}
}

// A Grant is what Reserve has granted.
type Grant struct {
	Slots []time.Time   // local times at which one body each may leave, ascending
	Late  time.Duration // how long after its slot a body may leave
	Again time.Time     // when it is worth asking for more
	Spent *Spent        // the quota that all slots are refused for; nil: none
}

// A Request asks for slots.
type Request struct {
	Limits []Limit       // of at most one campaign and one account
	Lead   time.Duration // what the caller needs until it has a body to send
	N      int           // how many slots at most
	// Urgent is how many messages of high priority wait here for slots of these limits. When
	// they do not get all, the limit that they wait for gives those of normal priority
	// none, in no process, until they have asked again.
	Urgent int
	InHand bool // a body waits for its slot: it gets one also while others are urgent
}

// urgent is what reserve.lua and match.lua take.
func (r Request) urgent() int {
	if r.InHand {
		return -1
	}
	return r.Urgent
}

// Reserve asks for slots that keep all of the limits. All slots are between now + lead and
// 250 ms after that (270 ms with several limits, 350 ms when a slow one of them is nearly used
// up). Without slots Again is the only answer. A body that cannot leave
// within Late of its slot must not use it: 20 ms; 125 or 250 ms of a quota alone; 250 ms where the
// limits are far from being reached and lead is short, and then the slots begin now.
//
// Limits of the account, its providers and its domains, and its quotas, are taken
// together or not at all. The campaign's is taken before them and given back where
// they refuse. When a quota is spent, Again is 10 s ahead at most: slots may be given
// back before the quota frees by itself.
//
// Slots that are not used are lost: at most 1/rate of the time until the next. Of
// a limit slower than one a second, or with a quota, they can be given back with
// GiveBack, so that 3/min sends three in a minute although a body was late for its
// slot. What stays lost are slots of a worker that died, and those given back after
// another worker has reserved the next one of the same limit.
//
// Without any limit the slots are now, and Redis is not asked.
func (p *Pacer) Reserve(ctx context.Context, req Request) (Grant, error) {
	req.Lead = min(max(req.Lead, 0), maxLead)
	req.N = min(req.N, maxSlots)

	if req.N <= 0 {
		return Grant{Again: time.Now()}, nil
	}

	r, err := newRoute(p.prefix, req.Limits)
	if err != nil {
		return Grant{}, err
	}

	switch {
	case r.camp.isEmpty() && r.acct.isEmpty():
		return unlimited(req.N), nil
	case r.camp.isEmpty():
		return p.one(ctx, r.acct, req)
	case r.acct.isEmpty():
		return p.one(ctx, r.camp, req)
	}
	points, grant, err := p.both(ctx, r, req)
	if err != nil {
		return Grant{}, err
	}
	grant.Slots = locals(p.clocks.of(r.acct.tag), points)
	return grant, nil
}

func unlimited(n int) Grant {
	now := time.Now()
	slots := make([]time.Time, n)
	for i := range slots {
		slots[i] = now
	}
	return Grant{Slots: slots, Late: leeway, Again: now}
}

// interval returns the microseconds between two points at a rate per second.
func interval(rate float64) float64 { return 1e6 / (rate * pace) }

// one reserves where the limits have one hash slot.
func (p *Pacer) one(ctx context.Context, ch chain, req Request) (Grant, error) {
	reply, err := p.ask(ctx, ch, req, 0, true)
	if err != nil {
		return Grant{}, err
	}
	c := p.clocks.of(ch.tag)
	grant := Grant{Slots: locals(c, reply.points), Late: reply.late, Again: p.again(c, reply.next, req.Lead)}
	p.refuse(&grant, ch, reply)
	return grant, nil
}

// both reserves where a run's and an account's limits count; see the package
// comment for the way. The points, in the time of the account's node, are the slots
// of the grant.
func (p *Pacer) both(ctx context.Context, r route, req Request) (points []int64, grant Grant, err error) {
	ac, cc := p.clocks.of(r.acct.tag), p.clocks.of(r.camp.tag)
	grant.Late = lateness
	ofRun := Request{Lead: req.Lead, N: req.N} // it shares its own limit with no other run
	var notBefore int64                        // in the time of the run's node
	for range tries {
		wishes, err := p.ask(ctx, r.camp, ofRun, notBefore, false)
		if err != nil {
			return nil, Grant{}, err
		}
		grant.Again = p.again(cc, wishes.next, req.Lead)
		if len(wishes.points) == 0 {
			break
		}
		partners, err := p.pair(ctx, r.acct, r.delay, req.urgent(), wishes.points, cc)
		if err != nil {
			return nil, Grant{}, err
		}
		points, refused := sift(wishes.points, partners.points)
		if len(refused) > 0 {
			p.returnPoints(ctx, r.camp.lines[0], refused, 0, 0)
		}
		if len(points) > 0 || partners.spent > 0 {
			p.refuse(&grant, r.acct, partners)
			return points, grant, nil
		}
		grant.Again = latest(grant.Again, p.again(ac, partners.next, req.Lead))
		notBefore = partners.next + ac.shift(cc)
	}
	return nil, grant, nil
}

// refuse writes into a grant which quota is spent.
func (p *Pacer) refuse(grant *Grant, ch chain, reply reply) {
	if reply.spent == 0 {
		return
	}
	spent := ch.counters[reply.spent-1]
	until := p.clocks.of(ch.tag).local(reply.until)
	grant.Spent = &Spent{Account: spent.account, Quota: spent.Name, Until: until}

	now := time.Now()
	grant.Again = until
	if until.After(now.Add(lookAgain)) {
		grant.Again = now.Add(lookAgain)
	}
	grant.Again = latest(grant.Again, now.Add(soon))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sift separates the points that the account gave from the wishes that it refused.
func sift(wishes, partners []int64) (points, refused []int64) {
	for i, point := range partners {
		if point == 0 {
			refused = append(refused, wishes[i])
		} else {
			points = append(points, point)
		}
	}
	return points, refused
}

func locals(c *clock, points []int64) []time.Time {
	var slots []time.Time
	for _, point := range points {
		slots = append(slots, c.local(point))
	}
	return slots
}

// again returns when it is worth asking for the point next: when it lies in the
// middle of what can be reserved, so that one call brings many slots and a late
// one loses none.
func (p *Pacer) again(c *clock, next int64, lead time.Duration) time.Time {
	return latest(c.local(next).Add(-lead-window/2), time.Now().Add(soon))
}
