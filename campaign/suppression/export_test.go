package suppression

import "time"

// SetClock gives a store the time of a test.
func SetClock(s *Store, now func() time.Time) { s.now = now }
