package sources

import (
	"context"
	"errors"
	"io"
	"os"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/sources/postgres"
	"broadside/campaign/sources/webfile"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
)

// Trouble is why a source elsewhere could not be read, although nothing is wrong with what
// is in it: its server does not answer, refuses the login, or has no such file. A run that
// is made at its time can wait for it to pass; a person who launches it now may have to
// correct the file. It has the kind of its cause, failure.ErrInvalid or
// failure.ErrUnreachable.
type Trouble struct {
	Problem strictyaml.Problem
	cause   error
}

func (t *Trouble) Error() string { return t.Problem.Error() }

// Unwrap returns the problem, which has a place in the campaign file.
func (t *Trouble) Unwrap() []error { return []error{strictyaml.Problems{t.Problem}} }

// Is reports whether the cause is a target.
func (t *Trouble) Is(target error) bool { return errors.Is(t.cause, target) }

// A place is where a campaign file names a source.
type place struct {
	key  string
	what string // what allow_private is set for
}

// openRemote opens an audience that is elsewhere.
func openRemote(ctx context.Context, def *campaign.Definition, r campaign.Remote, opts audience.Options) (*audience.Reader, error) {
	if r.IsDatabase() {
		return openQuery(ctx, def, r, opts)
	}
	from, err := fetch(ctx, def, place{"audience.source", "this audience"}, r, &opts)
	if err != nil {
		return nil, err
	}
	return audience.Open(ctx, from, opts)
}

// fetch fetches a file from the web.
func fetch(ctx context.Context, def *campaign.Definition, at place, r campaign.Remote, opts *audience.Options) (audience.Source, error) {
	url, err := addressOf(def, at.key, r)
	if err != nil {
		return audience.Source{}, err
	}

	f, err := webfile.Fetch(ctx, webfile.Source{URL: url, Name: r.String(), AllowPrivate: r.AllowPrivate, What: at.what})
	if err != nil {
		return audience.Source{}, passing(def, at.key, err)
	}
	opts.File = r.String()
	return audience.Source{Path: "-", Reader: f, Closer: f, Name: f.Ending}, nil
}

// openQuery begins the query of a database. Its faults have their place in the campaign
// file, also those that show while its rows are read.
func openQuery(ctx context.Context, def *campaign.Definition, r campaign.Remote, opts audience.Options) (*audience.Reader, error) {
	url, err := addressOf(def, "audience.source", r)
	if err != nil {
		return nil, err
	}

	located := func(err error) error {
		if fault, ok := errors.AsType[*audience.FileError](err); ok {
			return strictyaml.Problems{def.Problem("audience.query", "%v", fault)}
		}
		return passing(def, "audience.source", err)
	}
	rows, err := postgres.Open(ctx, postgres.Source{URL: url, Name: r.String(), Query: r.Query}, opts)
	if err != nil {
		return nil, located(err)
	}
	return rows.WithErrors(located), nil
}

// addressOf returns the address of a source, with its variables filled in. One that is not
// set may be in the environment of another process: that passes.
func addressOf(def *campaign.Definition, key string, r campaign.Remote) (string, error) {
	url, problem := r.URL(os.LookupEnv)
	if problem != "" {
		return "", &Trouble{def.Problem(key, "%s", problem), failure.ErrInvalid}
	}
	return url, nil
}

// passing gives trouble its place in the campaign file. Other errors stay as they are.
func passing(def *campaign.Definition, key string, err error) error {
	if err == io.EOF || !errors.Is(err, failure.ErrInvalid) && !errors.Is(err, failure.ErrUnreachable) {
		return err
	}
	return &Trouble{def.Problem(key, "%v", err), err}
}
