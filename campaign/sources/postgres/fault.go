package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"broadside/campaign/audience"
	"broadside/internal/failure"
)

// fault is the error for a query that cannot be right.
func (r *rows) fault(format string, args ...any) error {
	return &audience.FileError{File: r.source.Name, What: fmt.Sprintf(format, args...)}
}

// failed says what an error means: of the server, of the way there, or the end of the
// caller's context.
func (r *rows) failed(err error) error {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return r.refused(said)
	}
	if tooLong, ok := errors.AsType[*pgproto3.ExceededMaxBodyLenErr](err); ok {
		return r.fault("a row of %d bytes, at most %d are read: leave large columns out", tooLong.ActualBodyLen, maxRow)
	}

	switch cause := context.Cause(r.ctx); {
	case errors.Is(cause, context.DeadlineExceeded):
		return r.unreachable(err, "the query took more than %v", readWithin)
	case cause != nil:
		return fmt.Errorf("read %s: %w", r.source.Name, cause)
	}
	if connecting, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = connecting.Unwrap() // its own text has the user
	}
	return r.unreachable(err, "%s", oneLine(err.Error()))
}

// Classes of SQLSTATE, and codes, by what comes of them (PostgreSQL, appendix A).
var (
	// the query cannot be right, or not for these rows
	queryFaults = []string{"42", "22", "21", "0A", "25006"}
	// a person has to change something, not in the query
	settledFaults = []string{"28", "3D", "42501", "0P"}
)

func hasCode(code string, classes []string) bool {
	return slices.ContainsFunc(classes, func(class string) bool { return strings.HasPrefix(code, class) })
}

// refused returns the error for what the server said.
func (r *rows) refused(said *pgconn.PgError) error {
	text := oneLine(said.Message)
	switch {
	case said.Code == "42601" && said.Position == 0: // the only syntax error without a place
		return r.fault("found several statements, expected one query")
	case said.Code == "25006":
		return r.fault("the query writes, expected one that only reads: the database says: %s", text)
	case said.Code == "57014":
		return r.unreachable(said, "the query took more than %v, or was ended in the database: %s", readWithin, text)
	case hasCode(said.Code, settledFaults):
		return failure.Invalid(fmt.Sprintf("%s: the database says: %s", r.source.Name, text))
	case !hasCode(said.Code, queryFaults):
		return r.unreachable(said, "the database says: %s", text)
	}

	text = "the database says: " + text + place(r.source.Query, int(said.Position))
	if said.Hint != "" {
		text += "; " + oneLine(said.Hint)
	}
	return r.fault("%s", text)
}

// place says where in a query a position is, which counts characters from 1; empty for 0.
func place(query string, position int) string {
	if position < 1 || position > utf8.RuneCountInString(query)+1 {
		return ""
	}
	before := string([]rune(query)[:position-1])
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	if strings.Contains(strings.TrimSpace(query), "\n") {
		return fmt.Sprintf(" (line %d, column %d of the query)", line, column)
	}
	return fmt.Sprintf(" (column %d of the query)", column)
}

func (r *rows) unreachable(cause error, format string, args ...any) error {
	return failure.New(failure.ErrUnreachable, r.source.Name+": "+fmt.Sprintf(format, args...), cause)
}

// oneLine puts a text of the server or the driver into one line.
func oneLine(text string) string {
	const most = 500
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
