// Package zones finds the clock that a recipient lives by: that of the zone which one
// column of an audience names, such as Europe/Berlin.
//
// What a column says is foreign text. A row in which it is empty, or names no zone that
// is known, goes by another clock that is given; the caller is told, so that such rows can
// be counted.
package zones

import (
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxName is how many bytes the name of a zone has at most. The longest that there is
	// has 32.
	maxName = 64
	// maxKept is how many names are remembered, so that texts that are no zones do not fill
	// the memory. Those of zones always are: there are some 600.
	maxKept = 4096
)

// An Origin says where the clock of a row comes from.
type Origin int

// The origins of a clock.
const (
	Named   Origin = iota // the row names its zone
	Empty                 // the row names none
	Unknown               // what it names is no zone that is known
)

// Zones finds the clocks of the rows of one audience. It is safe for concurrent use.
type Zones struct {
	column   int
	fallback *time.Location

	mu   sync.Mutex
	kept map[string]*time.Location // nil: no such zone; guarded by mu
}

// New returns the Zones of an audience whose rows name theirs in a column, counted from 0.
// fallback is the zone of rows that name none that is known.
func New(column int, fallback *time.Location) *Zones {
	kept := map[string]*time.Location{fallback.String(): fallback}
	return &Zones{column: column, fallback: fallback, kept: kept}
}

// Of returns the zone of a row, and where it comes from. Rows that name the same zone get
// the same Location.
func (z *Zones) Of(values []string) (*time.Location, Origin) {
	name := z.Name(values)
	if name == "" {
		return z.fallback, Empty
	}

	z.mu.Lock()
	defer z.mu.Unlock()
	zone, found := z.kept[name]
	if !found {
		zone = find(name)
		if zone != nil || len(z.kept) < maxKept {
			z.kept[strings.Clone(name)] = zone
		}
	}

	if zone == nil {
		return z.fallback, Unknown
	}
	return zone, Named
}

// Name returns what a row has in the column of zones, without spaces around it.
func (z *Zones) Name(values []string) string {
	if z.column >= len(values) {
		return "" // the last cells of a row may be missing
	}
	return strings.TrimSpace(values[z.column])
}

// ofTheMachine are names that mean another zone on each machine.
var ofTheMachine = []string{"Local", "localtime", "posixrules"}

// find returns the zone of a name; nil when there is none. Names lead to files, so what
// cannot be one is not looked for.
func find(name string) *time.Location {
	if len(name) > maxName || slices.Contains(ofTheMachine, name) || strings.ContainsFunc(name, notOfNames) {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}

func notOfNames(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("/_+-", r)
}
