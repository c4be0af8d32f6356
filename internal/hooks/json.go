package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"broadside/campaign"
)

// tolerant forgives a value of another type than expected, which stays empty. The
// decoder has read everything else by then (encoding/json, Unmarshal).
func tolerant(err error) error {
	if _, otherType := errors.AsType[*json.UnmarshalTypeError](err); err == nil || otherType {
		return nil
	}
	return fmt.Errorf("%w: read the JSON: %w", errUnreadable, err)
}

// readJSON reads one JSON value.
func readJSON(data []byte, v any) error { return tolerant(json.Unmarshal(data, v)) }

// readEvents reads an array of events, or one event, and makes a notice of each. A
// notice without a class means that the event says no kind.
func readEvents[T any](body []byte, notice func(event T) campaign.Notice) ([]campaign.Notice, error) {
	var notices []campaign.Notice
	add := func(event T) error {
		n := notice(event)
		if n.Class == "" {
			return fmt.Errorf("%w: event %d says no kind", errUnreadable, len(notices)+1)
		}
		notices = append(notices, n)
		return nil
	}

	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		var event T
		if err := readJSON(body, &event); err != nil {
			return nil, err
		}
		return notices, add(event)
	}

	dec := json.NewDecoder(bytes.NewReader(body))
	_, err := dec.Token() // [
	for err == nil && dec.More() {
		if len(notices) == maxEvents {
			return nil, fmt.Errorf("%w: more than %d events", errTooLarge, maxEvents)
		}
		var event T
		err = tolerant(dec.Decode(&event))
		if err == nil {
			err = add(event)
		}
	}
	if err != nil {
		return nil, err
	}

	if _, err := dec.Token(); err != nil { // ]
		return nil, fmt.Errorf("%w: read the end of the JSON: %w", errUnreadable, err)
	}
	return notices, nil
}

// unix returns a time in seconds since 1970, zero for what is none.
func unix(seconds float64) time.Time {
	const most = 1 << 33 // the year 2242
	if !(seconds > 0 && seconds < most) {
		return time.Time{}
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC()
}

// iso returns a time of RFC 3339, zero for what is none.
func iso(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
