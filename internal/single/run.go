package single

import (
	"context"
	"errors"
	"time"
)

const (
	// pollEvery is how often Run looks for messages that other processes have taken in.
	pollEvery = 200 * time.Millisecond
	// atOnce is how many messages one process has in hand.
	atOnce = 10
	// leaseFor is how long the others wait after a process that had a message in hand was
	// killed, and renewEvery how often it says that it lives.
	leaseFor   = 15 * time.Second
	renewEvery = 5 * time.Second
	// storeWithin bounds a question to Redis.
	storeWithin = 5 * time.Second
)

// Run sends what is due until ctx ends; any number of processes may. Then it gives back
// what has not been claimed, and waits for the replies to the others.
func (s *Service) Run(ctx context.Context) error {
	defer s.hands.Wait()
	places := make(chan struct{}, atOnce)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		ids, err := s.takeDue(ctx, atOnce-len(places))
		s.storing.Note(err)
		for _, id := range ids {
			places <- struct{}{}
			s.hands.Go(func() {
				defer func() {
					<-places
					s.rouse()
				}()
				s.work(ctx, id)
			})
		}

		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// takeDue takes up to n messages that are due.
func (s *Service) takeDue(ctx context.Context, n int) ([]string, error) {
	if n == 0 || ctx.Err() != nil {
		return nil, nil
	}
	asking, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	now := s.now()
	ids, err := s.cfg.Store.takeDue(asking, now, now.Add(leaseFor), n)
	if err != nil && ctx.Err() != nil {
		return nil, nil // what it has taken all the same comes back with the lease
	}
	return ids, err
}

// work does what there is to do about a message that was taken.
func (s *Service) work(ctx context.Context, id string) {
	st, err := s.deliver(ctx, id)
	switch {
	case err == nil, errors.Is(err, errTaken):
	case ctx.Err() != nil && st.Waits():
		s.giveBack(st)
	default:
		s.storing.Note(err)
	}
}

// giveBack lets another process have a message at once.
func (s *Service) giveBack(st Status) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	st.Next = s.now()
	if _, err := s.cfg.Store.note(ctx, st, ""); err != nil {
		s.log.Debug("single message not given back, it comes with its lease", "id", st.ID, "err", err)
	}
}

// hold keeps others from taking a message until release is called.
func (s *Service) hold(id string) (release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			asking, done := context.WithTimeout(ctx, storeWithin)
			if err := s.cfg.Store.keep(asking, id, s.now().Add(leaseFor)); err != nil && ctx.Err() == nil {
				s.log.Debug("lease of a single message not renewed", "id", id, "err", err)
			}
			done()
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
