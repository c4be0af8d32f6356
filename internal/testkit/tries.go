package testkit

import "time"

// Tries is for what comes in its own time and can only be asked for:
//
//	for range testkit.Tries(20 * time.Second) {
//		if n := count(); n == want {
//			return
//		}
//	}
//	t.Fatal("...")
//
// It tries until limit is over, and once more then: a machine that was busy
// for that long gets its answer too. Between two tries it rests for three times
// as long as the last one took, half a second at most: who asks by starting
// processes leaves the machine to those that are asked about.
func Tries(limit time.Duration) func(yield func() bool) {
	const least, most = 10 * time.Millisecond, 500 * time.Millisecond
	return func(yield func() bool) {
		end := time.Now().Add(limit)
		for last := false; !last; {
			begun := time.Now()
			last = begun.After(end)
			if !yield() {
				return
			}
			if !last {
				<-time.After(min(max(least, 3*time.Since(begun)), most))
			}
		}
	}
}
