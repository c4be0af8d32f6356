package app

import (
	"context"
	"errors"
	"net/http"

	"broadside/campaign"
	"broadside/internal/hooks"
)

// webhooks returns what answers the webhooks of providers; nil where none is configured.
func (a *App) webhooks(recorder hooks.Recorder) (http.Handler, error) {
	if !a.Config.Feedback.Hooks.Any() {
		return nil, nil
	}
	return hooks.New(hooks.Config{Hooks: a.Config.Feedback.Hooks, Recorder: recorder, Log: a.log})
}

// notRecorded stores nothing and says so: providers keep what they have to tell, and
// send it again.
type notRecorded struct{}

func (notRecorded) Record(context.Context, []campaign.Notice) error {
	return errors.New("notices are not stored by this version")
}
