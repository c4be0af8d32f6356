package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/internal/app"
	"broadside/internal/launch"
	"broadside/internal/runs"
)

// minPace is the pace in messages a second below which a measurement is given
// up, and patience is the time that it may take in addition.
const (
	minPace  = 50
	patience = 2 * time.Minute
	// settled is the age of a Redis at which workers that join may claim at
	// once: before, they must assume that it was restarted under them.
	settled = 4 * time.Second
)

// A field is where the send stage takes place.
type field struct {
	redis   *server
	sink    *receiver // nil: the SMTP server is not ours
	away    *child    // the distance to it; nil: none
	smtp    string    // its address, over the distance
	workers []*child
	app     *app.App
	def     *campaign.Definition
}

// send sends one run, then lets smtp-source do the same.
func (b *bench) send(ctx context.Context) (res *Send, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience+time.Duration(b.Recipients)*time.Second/minPace)
	defer cancel()
	f := &field{}
	defer within(&err, f.clear)
	if err := b.prepare(ctx, f); err != nil {
		return nil, err
	}
	res, err = b.campaign(ctx, f)
	if err != nil {
		return nil, err
	}
	if res.SMTPSource, err = b.smtpSource(ctx, f, res.Messages); err != nil {
		return nil, err
	}
	if res.SMTPSource != nil {
		res.SMTPSource.Ratio = res.PerS / res.SMTPSource.PerS
	}
	return res, nil
}

// prepare starts everything; clear ends what was started, also after an error.
func (b *bench) prepare(ctx context.Context, f *field) (err error) {
	if f.redis, err = b.startRedis(ctx); err != nil {
		return err
	}
	if err := b.findSMTP(ctx, f); err != nil {
		return err
	}
	if f.app, f.def, err = b.open(ctx, f.redis, f.smtp); err != nil {
		return err
	}
	if err := b.configure(f.smtp, f.redis.far, f.redis.namespace); err != nil { // of the workers
		return err
	}
	if f.redis.proc != nil && !sleep(ctx, time.Until(f.redis.proc.since.Add(settled))) {
		return context.Cause(ctx)
	}
	for i := range b.Workers {
		args := []string{"worker", b.dir}
		if b.ProfileDir != "" {
			args = append(args, filepath.Join(b.ProfileDir, "worker-"+strconv.Itoa(i+1)))
		}
		w, err := b.startChild(ctx, args...)
		if err != nil {
			return err
		}
		f.workers = append(f.workers, w)
	}
	return b.ready(ctx, f)
}

// findSMTP starts a server, and the distance to it, unless one was named.
func (b *bench) findSMTP(ctx context.Context, f *field) (err error) {
	if f.smtp = b.SMTP; f.smtp != "" {
		return nil
	}
	if f.sink, err = b.startReceiver(ctx); err != nil {
		return err
	}
	if f.smtp = f.sink.addr; b.RTT > 0 {
		f.away, f.smtp, err = b.startDistance(ctx, f.sink.addr, b.RTT)
	}
	return err
}

// ready waits until all workers are on the list.
func (b *bench) ready(ctx context.Context, f *field) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, errors.New("the workers did not start"))
	defer cancel()
	for {
		workers, err := f.app.Ledger.Workers(ctx)
		if err != nil {
			return err
		}
		if len(workers) >= b.Workers {
			return nil
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// sleep waits for d or the end of ctx, and reports whether d passed.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *field) clear() error {
	var errs []error
	for _, w := range f.workers {
		errs = append(errs, w.stop())
	}
	if f.away != nil {
		errs = append(errs, f.away.stop())
	}
	if f.sink != nil {
		errs = append(errs, f.sink.stop())
	}
	if f.app != nil {
		errs = append(errs, f.app.Close())
	}
	if f.redis != nil {
		errs = append(errs, f.redis.stop())
	}
	return errors.Join(errs...)
}

// meters are all meters at one moment.
type meters struct {
	redis         reading
	workers, sink usage
}

func (f *field) read(ctx context.Context) (m meters, err error) {
	if m.workers, err = askAll(f.workers); err != nil {
		return m, err
	}
	if m.sink, err = f.askSink(); err != nil {
		return m, err
	}
	m.redis, err = f.redis.read(ctx)
	return m, err
}

// askSink returns what the SMTP server has used so far: nothing is known of one
// that is not ours.
func (f *field) askSink() (usage, error) {
	if f.sink == nil {
		return usage{}, nil
	}
	return f.sink.ask()
}

// campaign launches the run and waits for its end.
func (b *bench) campaign(ctx context.Context, f *field) (_ *Send, err error) {
	idle, err := f.redis.read(ctx)
	if err != nil {
		return nil, err
	}
	var before meters
	launched, err := f.app.Launcher.Launch(ctx, f.def, launch.Options{
		// Everything is stored by then, and no message can have left.
		Confirm: func(launch.Plan) (err error) { before, err = f.read(ctx); return err },
	})
	if err != nil {
		return nil, err
	}
	defer within(&err, func() error { return remove(ctx, f.app, launched.Run) })
	peak := before.redis.memory
	status, err := b.wait(ctx, f, launched.Run, func() {
		if r, err := f.redis.read(ctx); err == nil { // one reading less
			peak = max(peak, r.memory)
		}
	})
	if err != nil {
		return nil, err
	}
	after, err := f.read(ctx)
	if err != nil {
		return nil, err
	}
	n := int(status.Counts[campaign.Accepted])
	if n == 0 || b.For == 0 && n != b.Recipients {
		return nil, fmt.Errorf("%d of %d messages were accepted: %s", n, b.Recipients, others(status.Counts))
	}
	if f.sink != nil {
		if err := f.sink.check(before.sink, after.sink, n, b.size, b.For == 0); err != nil {
			return nil, err
		}
	}
	chunks, err := chunkBytes(ctx, f.app, launched.Run)
	if err != nil {
		return nil, err
	}
	s := per(n, before, after)
	s.Sink = "named"
	if f.sink != nil {
		s.Sink = f.sink.kind
	}
	s.Seconds = status.LastAccepted.Sub(status.Ready).Seconds()
	s.PerS = float64(n) / s.Seconds
	s.FirstMillis = float64(status.FirstAccepted.Sub(status.Ready).Milliseconds())
	s.RedisTotal = (peak - idle.memory) / float64(b.Recipients)
	s.RedisPeak = s.RedisTotal - chunks/float64(b.Recipients)
	return s, nil
}

// others says in words what became of those that were not accepted.
func others(c campaign.Counts) string {
	var words []string
	for _, s := range campaign.States {
		if n := c.Report(s); n > 0 && s != campaign.Accepted && s != campaign.Issued { // those are pending
			words = append(words, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(words) == 0 {
		return "nothing is known of the others"
	}
	return strings.Join(words, ", ")
}

// wait returns the run at its end, or after the time that was given to it; seen
// is called now and then.
func (b *bench) wait(ctx context.Context, f *field, run string, seen func()) (runs.Status, error) {
	waiting, cancel := ctx, func() {}
	if b.For > 0 {
		waiting, cancel = context.WithTimeout(ctx, b.For)
	}
	defer cancel()
	status, err := f.app.Runs.Wait(waiting, run, func(runs.Status) { seen() })
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return f.app.Runs.Status(ctx, run)
	}
	return status, err
}

// per divides what happened between two readings by the number of messages.
func per(n int, before, after meters) *Send {
	m := float64(n)
	micros := func(a, b usage) float64 { return float64((b.CPU - a.CPU).Microseconds()) / m }
	s := &Send{
		Messages: n, WorkerMemory: after.workers.Memory,
		WorkerCPU:     micros(before.workers, after.workers),
		SinkCPU:       micros(before.sink, after.sink),
		RedisCPU:      (after.redis.cpu - before.redis.cpu) * 1e6 / m,
		RedisCommands: (after.redis.commands - before.redis.commands) / m,
		RedisBytes:    (after.redis.bytes - before.redis.bytes) / m,
		Allocs:        float64(after.workers.Mallocs-before.workers.Mallocs) / m,
		AllocBytes:    float64(after.workers.Allocated-before.workers.Allocated) / m,
		Commands:      top(before.redis, after.redis, m, 12),
	}
	if s.SinkCPU > 0 {
		s.WorkerOfSink, s.RedisOfSink = s.WorkerCPU/s.SinkCPU, s.RedisCPU/s.SinkCPU
	}
	return s
}
