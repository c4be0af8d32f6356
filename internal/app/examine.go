package app

import (
	"context"
	"errors"
	"log/slog"

	"broadside/configs"
	"broadside/internal/doctor"
	"broadside/internal/store"
	"broadside/sender/oauth"
)

// Examine looks at everything that a campaign needs, also where the store is not fit
// to send from or cannot be reached. The error is that of doctor.Verdict.
func Examine(ctx context.Context, cfg *configs.Config, log *slog.Logger) ([]doctor.Finding, error) {
	found := doctor.Settings(cfg)
	var tokens *oauth.Store // nil: without a store each process has its own
	a, err := Open(ctx, cfg, Options{Log: log, Unfit: true})
	switch {
	case ctx.Err() != nil, errors.Is(err, store.ErrOptions):
		return nil, err
	case err != nil:
		found = append(found, doctor.Unanswered(err)...)
	default:
		defer func() {
			if err := a.Close(); err != nil {
				log.Warn("connections to redis are closed by the end of the process", "err", err)
			}
		}()
		tokens = a.Tokens
		found = append(found, a.Doctor.Installation(ctx)...)
	}

	found = append(found, doctor.Links(ctx, cfg.PublicURL))
	found = append(found, doctor.Accounts(ctx, cfg, tokens)...)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}

	return found, doctor.Verdict(found)
}
