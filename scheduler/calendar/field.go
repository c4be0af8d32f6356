package calendar

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// A set is what one cron field allows.
type set struct {
	bits uint64
	star bool // the field begins with *: it does not restrict
}

func (s set) has(n int) bool { return s.bits&(1<<n) != 0 }

// first returns the smallest number in the set, 64 if there is none.
func (s set) first() int { return bits.TrailingZeros64(s.bits) }

// A field is one of the five kinds.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, ...
	example  string
}

var fieldKinds = []field{
	{name: "minute", min: 0, max: 59, example: "0, */15 or 0,30"},
	{name: "hour", min: 0, max: 23, example: "9, 8-18 or 8-18/2"},
	{name: "day of month", min: 1, max: 31, example: "1, 1,15 or *"},
	{name: "month", min: 1, max: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}, example: "*, 6, JUN or JAN,JUL"},
	// 7 is Sunday as well.
	{name: "day of week", min: 0, max: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, example: "*, MON or MON-FRI"},
}

// parse reads a list of ranges.
func (f field) parse(text string) (set, error) {
	var s set
	for item := range strings.SplitSeq(text, ",") {
		b, err := f.item(item)
		if err != nil {
			return set{}, err
		}
		s.bits |= b
	}

	s.star = strings.HasPrefix(text, "*")
	if f.max == 7 && s.has(7) {
		s.bits = s.bits&^(1<<7) | 1
	}

	return s, nil
}

// item reads *, N, N-M, each perhaps with /STEP.
func (f field) item(text string) (uint64, error) {
	span, stepText, stepped := strings.Cut(text, "/")
	low := f.min
	high := f.max
	if f.max == 7 {
		high = 6
	}

	if span != "*" {
		from, to, ranged := strings.Cut(span, "-")
		var err error
		if low, err = f.number(from); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if high, err = f.number(to); err != nil {
				return 0, err
			}
			if high == 0 && f.max == 7 && low > 0 {
				high = 7 // FRI-SUN
			}
		case !stepped:
			high = low
		}

		if high < low {
			return 0, fmt.Errorf("found %q, which ends before it begins; expected %s", text, f.example)
		}
	}

	step := 1
	if stepped {
		var err error
		if step, err = number(stepText); err != nil || step < 1 || step > f.max {
			return 0, fmt.Errorf("found the step %q; expected a number from 1 to %d, as in */%d", stepText, f.max, min(f.max, 2))
		}
	}

	var b uint64
	for n := low; n <= high; n += step {
		b |= 1 << n
	}

	return b, nil
}

// number reads a number or a name of the field.
func (f field) number(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}

	n, err := number(text)
	if err != nil || n < f.min || n > f.max {
		return 0, fmt.Errorf("found %q; expected %d to %d, as in %s", text, f.min, f.max, f.example)
	}

	return n, nil
}

// number reads one to four digits and nothing else.
func number(text string) (int, error) {
	if len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return strconv.Atoi(text)
}
