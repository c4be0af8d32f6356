package launch

import (
	"context"

	"broadside/campaign"
)

// RetrySpec returns the run that Retry would make.
func (l *Launcher) RetrySpec(ctx context.Context, id string, o RetryOptions) (campaign.RunSpec, error) {
	p, _, err := l.prepareRetry(ctx, id, o)
	if err != nil {
		return campaign.RunSpec{}, err
	}
	p.close()
	return p.spec, nil
}
