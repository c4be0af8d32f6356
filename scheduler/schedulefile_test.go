package scheduler

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

func TestFilesOfASchedule(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		ctx := t.Context()
		random := make([]byte, 3*pieceSize+17) // does not get smaller
		src := rand.NewChaCha8([32]byte{1})
		if _, err := src.Read(random); err != nil {
			t.Fatal(err)
		}

		contents := map[string][]byte{"audience.source": random, "content.markdown": []byte("# Hello\n"), "content.text": nil}
		sc := Schedule{ID: "news", Version: NewVersion(), Timing: Timing{Cron: "@daily", Zone: "UTC"}}
		for key, b := range contents {
			f, err := s.Stage(ctx, sc.Version, key, key+".file", bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if f.Size != int64(len(b)) {
				t.Errorf("%s: size is %d, want %d", key, f.Size, len(b))
			}
			sc.Files = append(sc.Files, f)
		}

		if old, err := s.Put(ctx, sc); err != nil || old != nil {
			t.Fatalf("Put: %v, %v", old, err)
		}
		if ttl := s.rdb.TTL(ctx, s.files(sc.Version)).Val(); ttl != -1 {
			t.Errorf("the files of a schedule end in %v", ttl)
		}

		for key, want := range contents {
			r, err := s.Open(ctx, &sc, key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: read %d bytes, error %v; want %d", key, len(got), err, len(want))
			}
			r.Close()
		}

		if _, err := s.Open(ctx, &sc, "exclude[0]"); err == nil {
			t.Error("a file that is not there: no error")
		}

		next := sc
		next.Version = NewVersion()
		next.Files = nil
		old, err := s.Put(ctx, next)
		if err != nil || old == nil || old.Version != sc.Version {
			t.Fatalf("Put: replaced %+v, error %v", old, err)
		}

		if ttl := s.rdb.TTL(ctx, s.files(sc.Version)).Val(); ttl <= 0 {
			t.Errorf("the files of a replaced schedule end in %v", ttl)
		}
	})
}

// zeros is a file without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		ctx := t.Context()
		sc := Schedule{ID: "news", Version: NewVersion(), Timing: Timing{At: time.Now().Add(-time.Minute), Zone: "UTC"}}
		if _, err := s.Put(ctx, sc); !errors.Is(err, ErrPast) {
			t.Errorf("a time that has passed: got %v, want ErrPast", err)
		}

		sc.Timing.At = time.Now().Add(time.Hour)
		f, err := s.Stage(ctx, sc.Version, "audience.source", "a.csv", bytes.NewReader([]byte("email\n")))
		if err != nil {
			t.Fatal(err)
		}

		sc.Files = []File{f}
		s.Discard(ctx, sc.Version)
		if _, err := s.Stage(ctx, sc.Version, "audience.source", "a.csv", io.LimitReader(zeros{}, MaxFile+1)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a file that is too large: got %v, want ErrTooLarge", err)
		}

		s.Discard(ctx, sc.Version)
		if _, err := s.Put(ctx, sc); err == nil {
			t.Error("files that are gone: no error")
		}
		if all, err := s.List(ctx); err != nil || len(all) != 0 {
			t.Errorf("stored are %v, error %v; want none", all, err)
		}
		if _, err := s.Get(ctx, "news"); !errors.Is(err, ErrNoSchedule) {
			t.Errorf("Get: got %v, want ErrNoSchedule", err)
		}
	})
}
