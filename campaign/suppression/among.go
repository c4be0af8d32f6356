package suppression

import (
	"context"

	"broadside/campaign/address"
)

// Among returns those of some addresses that must not get messages of topic, in
// their order.
func (s *Store) Among(ctx context.Context, topic string, addresses []address.Address) ([]string, error) {
	people := make([]Person, len(addresses))
	for i, a := range addresses {
		people[i] = PersonOf(a)
	}

	suppressed, err := s.Suppressed(ctx, topic, people)
	if err != nil {
		return nil, err
	}

	var found []string
	for i, a := range addresses {
		if suppressed[i] {
			found = append(found, a.String())
		}
	}

	return found, nil
}
