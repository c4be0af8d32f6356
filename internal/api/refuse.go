package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/single"
	"broadside/templates"
)

// A problem is the answer to a request that is not taken.
type problem struct {
	Error    string  `json:"error"`
	Problems []field `json:"problems,omitempty"`
}

// A field is one thing that is wrong with a request.
type field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// refuse answers a request that was not taken because of err.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	problems, isProblems := errors.AsType[single.Problems](err)
	_, inFile := errors.AsType[strictyaml.Problems](err)
	_, inTemplate := errors.AsType[templates.Problems](err)
	switch {
	case errors.Is(err, errUnreadable):
		answer(w, http.StatusBadRequest, problem{Error: `unreadable: expected a JSON object such as {"template": "receipt", "to": "ada@example.org", "data": {"name": "Ada"}}`})
	case isProblems:
		p := problem{Error: "the request cannot be taken"}
		for _, one := range problems {
			p.Problems = append(p.Problems, field{one.Field, one.Text})
		}
		answer(w, http.StatusUnprocessableEntity, p)
	case errors.Is(err, single.ErrConflict):
		answer(w, http.StatusConflict, problem{Error: err.Error()})
	case errors.Is(err, single.ErrSuppressed):
		answer(w, http.StatusUnprocessableEntity, problem{Error: err.Error(), Problems: []field{{"to", err.Error()}}})
	case errors.Is(err, single.ErrFull):
		w.Header().Set("Retry-After", strconv.Itoa(retryFull))
		answer(w, http.StatusTooManyRequests, problem{Error: err.Error()})
	case inFile, inTemplate, errors.Is(err, failure.ErrInvalid):
		// What is wrong is in our files: it is for the log, not for those who send requests.
		h.cfg.Log.Warn("template of single messages cannot be used", "err", err)
		answer(w, http.StatusUnprocessableEntity, problem{Error: "the template cannot be used", Problems: []field{{"template", "it has problems, which are in the log of web"}}})
	case errors.Is(err, context.Canceled):
		h.later(w, "interrupted")
	default:
		h.away.Note(err)
		h.later(w, "the message cannot be stored now, or it is not known whether it was: ask again with the same Idempotency-Key")
	}
}

// later answers that the request should come again.
func (h *Handler) later(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	answer(w, http.StatusServiceUnavailable, problem{Error: text})
}
