package testkit

import "testing"

// NeedsServer leaves a test out of a short run (make quick), since it starts a
// server that is not a part of this module. Whatever starts one here calls it;
// so does a test of something that starts one by itself.
func NeedsServer(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: this test starts a server of its own; make test runs it")
	}
}
