package calendar

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	if name == "" {
		return nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
