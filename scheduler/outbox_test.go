package scheduler

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/ledger"
)

// written is a store that remembers what it was given.
type written struct {
	calls  [][]int // chunks of each call, by their parts
	people int
	blocks int
}

func (w *written) Add(_ context.Context, chunks ...ledger.Chunk) error {
	var parts []int
	for _, c := range chunks {
		parts = append(parts, c.Part)
		w.people += len(c.Suppressed)
	}
	w.calls = append(w.calls, parts)
	return nil
}

func (w *written) Rejects(context.Context, []byte) error { w.blocks++; return nil }

func chunkOf(part, people, bytes int) ledger.Chunk {
	return ledger.Chunk{Part: part, Data: make([]byte, bytes), Suppressed: make([]bool, people)}
}

func TestOutboxAsksBeforeItWrites(t *testing.T) {
	t.Parallel()
	w := &written{}
	var asked []int64
	o := outbox{store: w, most: 1000, parts: map[int]int64{}, room: func(_ context.Context, bytes int64) error {
		if len(w.calls) != len(asked) {
			t.Errorf("%d writes after %d questions", len(w.calls), len(asked))
		}
		asked = append(asked, bytes)
		return nil
	}}
	for _, c := range []ledger.Chunk{chunkOf(0, 10, 400), chunkOf(1, 20, 500)} {
		if err := o.add(t.Context(), c); err != nil {
			t.Fatalf("add: %v", err)
		}
	}

	if asked != nil || w.calls != nil {
		t.Fatalf("asked %v, wrote %v, want nothing while there is less than is kept back", asked, w.calls)
	}

	for _, err := range []error{o.reject(t.Context(), make([]byte, 100)), o.add(t.Context(), chunkOf(0, 5, 50)), o.flush(t.Context()), o.flush(t.Context())} {
		if err != nil {
			t.Fatalf("write: %v", err)
		}
	}

	want := []int64{
		always + 1000 + 30*writtenEach + 30*(outcomeEach+taskEach), // what is held, and what all need
		always + 50 + 5*writtenEach + 35*(outcomeEach+taskEach),
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("bytes asked for (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]int{{0, 1}, {0}}, w.calls); diff != "" {
		t.Errorf("chunks written (-want +got):\n%s", diff)
	}
	if w.people != 35 || w.blocks != 1 || o.bytes != 1050 {
		t.Errorf("wrote %d people and %d blocks, %d bytes in all", w.people, w.blocks, o.bytes)
	}
}

func TestOutboxWritesNothingWithoutRoom(t *testing.T) {
	t.Parallel()
	w := &written{}
	o := outbox{store: w, most: 1000, parts: map[int]int64{}, room: func(context.Context, int64) error { return ErrNoRoom }}
	if err := o.add(t.Context(), chunkOf(0, 10, 1000)); !errors.Is(err, ErrNoRoom) {
		t.Errorf("add: got %v, want ErrNoRoom", err)
	}
	if w.calls != nil {
		t.Errorf("wrote %v", w.calls)
	}
}

// One round trip carries about a megabyte.
func TestOutboxWritesInParts(t *testing.T) {
	t.Parallel()
	w := &written{}
	o := outbox{store: w, most: mostHeld, parts: map[int]int64{}}
	for part := range 5 {
		if err := o.add(t.Context(), chunkOf(part, 1, perWrite/2)); err != nil {
			t.Fatalf("add: %v", err)
		}
	}

	if err := o.flush(t.Context()); err != nil {
		t.Fatalf("flush: %v", err)
	}
	if diff := cmp.Diff([][]int{{0, 1}, {2, 3}, {4}}, w.calls); diff != "" {
		t.Errorf("chunks by call (-want +got):\n%s", diff)
	}
}

func TestAPlanOnlyCounts(t *testing.T) {
	t.Parallel()
	o := outbox{most: 1, parts: map[int]int64{}, room: func(context.Context, int64) error { return ErrNoRoom }}
	for _, err := range []error{o.add(t.Context(), chunkOf(3, 10, 400)), o.reject(t.Context(), make([]byte, 5)), o.flush(t.Context())} {
		if err != nil {
			t.Fatalf("plan: %v", err)
		}
	}

	if o.bytes != 405 || o.chunks != nil || o.rejects != nil || o.parts[3] != 10 {
		t.Errorf("counted %d bytes and %v, kept %d chunks", o.bytes, o.parts, len(o.chunks))
	}
}

// What is handed out at once does not grow with the list.
func TestPlanMemory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		parts map[int]int64
		bytes int64
		want  int64
	}{
		{map[int]int64{0: 1000}, 34_000, always + 34_000 + 1000*(writtenEach+outcomeEach+taskEach)},
		{map[int]int64{0: 1_000_000}, 34e6, always + 34e6 + 1e6*(writtenEach+outcomeEach) + ledger.MaxBacklog*taskEach},
		{map[int]int64{0: 1e6, 1: 1e6, 2: 1e6}, 102e6, always + 102e6 + 3e6*(writtenEach+outcomeEach) + mostTasks*taskEach},
	} {
		p := Plan{Parts: tt.parts, Bytes: tt.bytes}
		for _, n := range tt.parts {
			p.Total += n
		}
		if got := p.Memory(); got != tt.want {
			t.Errorf("%v: needs %d bytes, want %d", tt.parts, got, tt.want)
		}
	}
}
