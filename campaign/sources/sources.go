// Package sources opens what a campaign file names: the files of its content, its
// audience, and the addresses that it excludes. Files are on disk, relative to the
// campaign file, or stored with a schedule. Files on the web and the rows of a database are
// never stored: they are read when the run is made.
package sources

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/input"
)

// Sources are where one campaign is read from. The zero value reads files on disk.
type Sources struct {
	Lists *audience.Lists // nil without Redis
	Runs  Runs            // nil without Redis

	// Stored opens the file that the campaign file names under a key
	// ("content.markdown"), in a campaign that is scheduled. nil: files are on disk.
	Stored func(ctx context.Context, key string) (io.ReadCloser, error)
	// Stdin is the audience "-". nil: it cannot be read here.
	Stdin io.Reader

	// Feed returns the items of a campaign's feed that a letter has, the newest first. nil:
	// there are no feeds here.
	Feed func(ctx context.Context, def *campaign.Definition, zone *time.Location) ([]campaign.FeedItem, error)

	// Offline leaves out the exclusions that are on the web.
	Offline bool
}

// File opens a file that a campaign file names: key is where it is named, name is what
// is written there. Previews read content again and again, so it must not be a pipe.
func (s Sources) File(ctx context.Context, def *campaign.Definition, key, name string) (io.ReadCloser, error) {
	if s.Stored != nil {
		return s.Stored(ctx, key)
	}
	path := inDir(def.Dir, name)
	if strings.HasPrefix(key, "content.") {
		return input.OpenFile(path)
	}
	return input.Open(ctx, path)
}

// inDir returns the path of a file that a campaign file in dir names.
func inDir(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// Audience opens the audience of a campaign, or another one that is named in its place
// on the command line: a file, the standard input, or a list. One that is elsewhere is
// fetched, or its query begun: a *Trouble says that this failed.
func (s Sources) Audience(ctx context.Context, def *campaign.Definition, instead string) (*audience.Reader, error) {
	a := def.Audience
	opts := audience.Options{Email: a.Email, Columns: a.Columns, Sheet: a.Sheet, Encoding: a.Encoding}
	source := cmp.Or(instead, a.Source)
	if name, ok := audience.ListName(source); ok {
		return s.Lists.Open(ctx, name, opts)
	}

	if source == "-" {
		if s.Stdin == nil {
			return nil, failure.Invalid(`audience source "-" is the standard input, which cannot be read here`)
		}
		return audience.Open(ctx, audience.Source{Path: "-", Reader: s.Stdin}, opts)
	}

	if instead != "" {
		return audience.Open(ctx, audience.Source{Path: source}, opts)
	}
	if !a.Remote.IsZero() {
		return openRemote(ctx, def, a.Remote, opts)
	}

	from, err := s.rowsOf(ctx, def, "audience.source", source, &opts)
	if err != nil {
		return nil, err
	}

	rows, err := audience.Open(ctx, from, opts)
	if file, ok := errors.AsType[*audience.FileError](err); ok && errors.Is(err, fs.ErrNotExist) {
		return nil, strictyaml.Problems{def.Problem("audience.source", "%v; a path is relative to the campaign file", file)}
	}

	return rows, err
}

// rowsOf returns where the rows of a file that a campaign file names are read from.
func (s Sources) rowsOf(ctx context.Context, def *campaign.Definition, key, name string, opts *audience.Options) (audience.Source, error) {
	if s.Stored == nil {
		return audience.Source{Path: inDir(def.Dir, name)}, nil
	}
	f, err := s.Stored(ctx, key)
	if err != nil {
		return audience.Source{}, err
	}
	opts.File = name
	return audience.Source{Path: "-", Reader: f, Closer: f}, nil
}

// A NamedFile is a file that a campaign file names.
type NamedFile struct{ Key, Name string }

// Files returns the files on disk that a campaign file names.
func Files(def *campaign.Definition) []NamedFile {
	var all []NamedFile
	for _, f := range []NamedFile{
		{"content.markdown", def.Content.Markdown},
		{"content.html", def.Content.HTML},
		{"content.text", def.Content.Text},
		{"schedule.holidays", def.Schedule.Holidays},
	} {
		if f.Name != "" {
			all = append(all, f)
		}
	}

	if def.Audience.Source != "" && def.Audience.Remote.IsZero() && isFile(def.Audience.Source) {
		all = append(all, NamedFile{"audience.source", def.Audience.Source})
	}

	for i, e := range def.Exclude {
		if e.Remote.IsZero() && isFile(e.Source) {
			all = append(all, NamedFile{excludeKey(i), e.Source})
		}
	}

	return all
}

func excludeKey(i int) string { return "exclude[" + strconv.Itoa(i) + "]" }

// isFile reports whether a source of addresses is a file, on disk or on the web, and not a
// list, a run or the standard input.
func isFile(source string) bool {
	_, isList := audience.ListName(source)
	return source != "-" && !isList && !strings.HasPrefix(source, runPrefix)
}
