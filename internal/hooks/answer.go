package hooks

import (
	"errors"
	"io"
	"net/http"
)

// finish answers. What exactly was wrong is in the log, and not for strangers.
func (h *Handler) finish(w http.ResponseWriter, hook *hook, name string, err error) {
	status, text := statusOf(err)
	switch status {
	case http.StatusOK:
		hook.refused.Note(nil)
		hook.away.Note(nil)
	case http.StatusServiceUnavailable:
		if !errors.Is(err, errBusy) {
			hook.away.Note(err, "hook", name)
		}
		w.Header().Set("Retry-After", retryAfter)
	default:
		hook.refused.Note(err, "hook", name, "status", status)
	}
	answer(w, status, text)
}

func statusOf(err error) (status int, text string) {
	switch {
	case err == nil:
		return http.StatusOK, "stored"
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, "too many requests at once"
	case errors.Is(err, errUnsigned):
		return http.StatusUnauthorized, "the signature or the password is missing or wrong, or the time is too far off"
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, "expected at most 2 MiB and 10000 events"
	case errors.Is(err, errUnreadable):
		return http.StatusBadRequest, "unreadable"
	}
	return http.StatusServiceUnavailable, "not stored, please send it again"
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // an error means that the client is gone
}
