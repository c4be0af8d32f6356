package launch

import (
	"context"
	"errors"
	"net"
	"path/filepath"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/feed"
	"broadside/campaign/sources"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/scheduler"
	"broadside/templates"
)

// Open checks a campaign as it was stored and opens its audience, for a scheduler that
// makes a run of it.
func (s *Schedules) Open(ctx context.Context, schedule *scheduler.Schedule) (campaign.RunSpec, scheduler.OpenInput, error) {
	def, err := campaign.Parse(schedule.File, filepath.Dir(schedule.File), schedule.Source)
	if err != nil {
		return campaign.RunSpec{}, scheduler.OpenInput{}, err
	}
	p, err := s.Launcher.prepare(ctx, def, Options{Now: true, Stored: schedule})
	if err != nil {
		return campaign.RunSpec{}, scheduler.OpenInput{}, err
	}
	return p.spec, scheduler.OpenInput{Input: p.in, Close: p.close}, nil
}

// IsFault reports whether an error is the fault of the campaign, its files or its
// accounts, so that trying again would not help. Trouble with a source elsewhere is not,
// whatever its server answers: tomorrow's file may not be there yet, and a login can be
// restored. While Redis does not answer, IsFault reports false for every error.
func (s *Schedules) IsFault(ctx context.Context, err error) bool {
	var (
		problems strictyaml.Problems
		file     *audience.FileError
		template templates.Problems
		network  net.Error
		ofFeed   *feed.Error // a feed that is none today may be one again in a minute
	)
	if _, passes := errors.AsType[*sources.Trouble](err); passes {
		return false
	}
	if ctx.Err() != nil || errors.As(err, &network) || errors.As(err, &ofFeed) || errors.Is(err, errOvertaken) || errors.Is(err, scheduler.ErrNoRoom) || s.Launcher.Store.Client().Ping(ctx).Err() != nil {
		return false
	}
	return errors.As(err, &problems) || errors.As(err, &file) || errors.As(err, &template) ||
		errors.Is(err, failure.ErrInvalid) || errors.Is(err, failure.ErrRefused)
}
