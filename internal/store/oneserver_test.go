package store_test

import (
	"log/slog"
	"strings"
	"testing"

	"broadside/internal/store"
	"broadside/internal/testkit"
)

// A reading that began on one server and ended on another is not complete, and
// says so.
func TestReadingNoticesAnotherServer(t *testing.T) {
	t.Parallel()
	r := testkit.NewRedis(t)
	st, err := store.Open(t.Context(), store.Options{URL: r.URL(), AllowVolatile: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if err := st.OneServer(t.Context(), func() error { return nil }); err != nil {
		t.Errorf("one server: got %v", err)
	}
	err = st.OneServer(t.Context(), func() error {
		r.Kill()
		r.Start()
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "do it again") {
		t.Errorf("another server: got %v, want it to be noticed", err)
	}
}
