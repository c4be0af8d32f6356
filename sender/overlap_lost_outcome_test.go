package sender

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/internal/crash"
)

// An outcome is recorded even when there is no other message to claim: after a
// refusal of the next, at the end of the work, and before a wait for a slot.
func TestAnOutcomeIsRecordedWithoutAnotherClaim(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		rcpt  string // what the server says to next
		stop  bool   // before next's body
		cells string // of next
		open  int    // connections, afterwards
	}{
		{name: "next is refused", rcpt: "550 5.7.1 not for you", cells: "f1", open: 1},
		{name: "next is deferred", rcpt: "450 4.2.1 busy", cells: "d1", open: 1},
		{name: "next ends the connection", rcpt: "421 4.3.2 going down", cells: "-0"},
		{name: "the work ends", stop: true, cells: "-0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const ada, next = "ada@example.org", "next@example.org"
			b := newFixture(t, ada, next)
			b.issue()
			j := &scriptedServer{rcpt: func(to string) string {
				if to == next {
					return tt.rcpt
				}
				return ""
			}}
			b.stepByStep(j, b.supp, func(h *stepper) {
				h.deliver(t.Context())
				if h.d.unrecorded.rcpt == nil || h.d.current == nil || h.d.current.rcpt.row.Address.String() != next {
					t.Fatalf("%s: want next's envelope under way, and ada's outcome unrecorded", h)
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				if tt.stop {
					stop()
				}
				h.deliver(ctx)
				if h.d.claimTime <= 0 {
					t.Error("it is not known how long a claim takes")
				}
				if h.d.unrecorded.rcpt != nil || h.d.recording != nil || h.d.current != nil || h.d.conn != nil {
					t.Error(h)
				}
				h.expectOpen(tt.open)
				h.expectHeld()
			})
			want := map[string]string{ada: "a1", next: tt.cells}
			if diff := cmp.Diff(want, b.cells()); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			b.settledAll()
			if diff := cmp.Diff(map[string]int{ada: 1}, j.took()); diff != "" {
				t.Errorf("messages taken (-want +got):\n%s", diff)
			}
		})
	}
}

// A fault at one recipient does not keep the outcome of the one before.
func TestAPanicKeepsTheOutcomeOfTheMessageBefore(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", 3)...)
	b.issue()
	b.stepByStep(&scriptedServer{}, b.supp, func(h *stepper) {
		h.deliver(t.Context())
		if h.d.unrecorded.rcpt == nil || h.d.current == nil {
			t.Fatalf("%s: want an envelope under way", h)
		}
		h.d.rescue(h.d.current, &crash.Fault{Place: "here", Text: "x"})
		if h.d.unrecorded.rcpt != nil || h.d.current != nil || h.d.conn != nil {
			t.Error(h)
		}
		h.expectOpen(0)
		h.expectHeld()
	})
	want := map[string]string{b.to[0]: "a1", b.to[1]: "f1", b.to[2]: "i0"}
	if diff := cmp.Diff(want, b.cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}

	b.settledAll()
}

// tornClient lets the next pipelines of a Redis client fail; true: after they were
// carried out.
type tornClient struct {
	mu       sync.Mutex
	fail     []bool
	pipeline int
}

var errTorn = errors.New("connection torn by the test")

func (f *tornClient) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (f *tornClient) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *tornClient) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		f.mu.Lock()
		f.pipeline++
		if len(f.fail) == 0 {
			f.mu.Unlock()
			return next(ctx, cmds)
		}
		carried := f.fail[0]
		f.fail = f.fail[1:]
		f.mu.Unlock()
		if carried {
			if err := next(ctx, cmds); err != nil {
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(errTorn)
		}
		return errTorn
	}
}

// When the round trip fails that records the outcome of one message and claims
// the next, whether it was carried out or not, the outcome is recorded again and
// the claim is released. The same goes for an outcome that was recorded by itself.
func TestATornStepLosesNothing(t *testing.T) {
	t.Parallel()
	for _, carried := range []bool{false, true} {
		for _, alone := range []bool{false, true} {
			t.Run("carried out "+strconv.FormatBool(carried)+", recorded alone "+strconv.FormatBool(alone), func(t *testing.T) {
				t.Parallel()
				b := newFixture(t, "ada@example.org", "next@example.org")
				b.issue()
				f := &tornClient{}
				rdb := redis.NewClient(b.rdb.Options())
				defer rdb.Close()
				rdb.AddHook(f)
				j := &scriptedServer{}
				b.stepByStep(j, b.supp, func(h *stepper) {
					h.deliver(t.Context())
					f.mu.Lock()
					f.fail, f.pipeline = []bool{carried}, 0
					f.mu.Unlock()
					if alone {
						h.d.startRecording()
						h.d.startRecording()
						h.d.awaitRecording()
						if f.pipeline != 2 || h.d.unrecorded.rcpt != nil || h.d.recording != nil {
							t.Errorf("%d times at Redis, want two; %s", f.pipeline, h)
						}
					}
					h.deliver(t.Context())
					if h.d.unrecorded.rcpt != nil || h.d.current != nil || h.d.conn != nil {
						t.Error(h)
					}
					h.expectHeld()
				}, func(cfg *Config) {
					line := b.ledger.Line(rdb, b.supp)
					ctx, stop := context.WithCancel(context.Background())
					ended := make(chan error, 1)
					go func() { ended <- line.Run(ctx) }()
					t.Cleanup(func() { stop(); <-ended })
					cfg.Line = line
				})
				want, taken := map[string]string{"ada@example.org": "a1", "next@example.org": "-0"}, map[string]int{"ada@example.org": 1}
				if alone {
					want["next@example.org"], taken["next@example.org"] = "a1", 1
				}
				if diff := cmp.Diff(want, b.cells()); diff != "" {
					t.Errorf("cells (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(taken, j.took()); diff != "" {
					t.Errorf("messages taken (-want +got):\n%s", diff)
				}
				b.settledAll()
			})
		}
	}
}
