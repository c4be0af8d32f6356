package app

import (
	"net/http"

	"broadside/internal/hooks"
)

// webhooks returns what answers the webhooks of providers; nil where none is configured.
func (a *App) webhooks(recorder hooks.Recorder) (http.Handler, error) {
	if !a.Config.Feedback.Hooks.Any() {
		return nil, nil
	}
	return hooks.New(hooks.Config{Hooks: a.Config.Feedback.Hooks, Recorder: recorder, Log: a.log})
}
