package scheduler

import (
	"context"
	"encoding/json"
	"fmt"

	"broadside/campaign"
)

// keepUntold is how many missed occurrences wait to be told. More than that are told of by
// the history of their schedule alone.
const keepUntold = 1000

func (s *Schedules) untoldKey() string { return s.key("untold") }

// missedOccurrence is what others are to be told of an occurrence that was missed.
func missedOccurrence(o Firing, entry Occurrence) campaign.MissedOccurrence {
	return campaign.MissedOccurrence{
		Campaign: o.ID, Topic: o.Topic, At: entry.At, Until: entry.Until, Times: entry.Times(), Reason: entry.Reason, Recorded: entry.Recorded,
	}
}

// Untold returns the occurrences that were missed, and that others are still to be told
// of, the oldest first. They were noted together with the record of the occurrence, so
// that no process that dies takes one along.
func (s *Schedules) Untold(ctx context.Context) ([]campaign.MissedOccurrence, error) {
	texts, err := s.rdb.LRange(ctx, s.untoldKey(), 0, -1).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the list of missed occurrences to be told of", s.untoldKey())
	}

	all := make([]campaign.MissedOccurrence, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &all[i]); err != nil {
			all[i] = campaign.MissedOccurrence{} // of another version; it goes with the others
		}
		all[i].Stored = text
	}
	return all, nil
}

// NoteTold notes that others were told of a missed occurrence that Untold returned.
func (s *Schedules) NoteTold(ctx context.Context, o campaign.MissedOccurrence) error {
	if err := s.rdb.LRem(ctx, s.untoldKey(), 1, o.Stored).Err(); err != nil {
		return fmt.Errorf("note that a missed occurrence of %s was told: %w", o.Campaign, err)
	}
	return nil
}
