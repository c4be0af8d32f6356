package app

import (
	"context"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/internal/input"
	"broadside/scheduler"
)

// An opener opens a file that a campaign file names: key is where it is named
// ("content.markdown"), name what stands there. A campaign that is scheduled
// has its files in the store.
type opener func(key, name string) (io.ReadCloser, error)

// onDisk opens files relative to the directory of the campaign file. People may come
// out of a pipe, while ctx lasts.
func onDisk(ctx context.Context, dir string) opener {
	content := contentOnDisk(dir)
	return func(key, name string) (io.ReadCloser, error) {
		if strings.HasPrefix(key, "content.") {
			return content(key, name)
		}
		return input.Open(ctx, inDir(dir, name))
	}
}

// contentOnDisk is onDisk for content, which is read by every preview, and so is no
// pipe.
func contentOnDisk(dir string) opener {
	return func(_, name string) (io.ReadCloser, error) { return input.OpenFile(inDir(dir, name)) }
}

// inDir returns the path of a file that a campaign file in dir names.
func inDir(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// opener opens files that were stored with a schedule, while ctx lasts; nil
// when there is none.
func (a *App) opener(ctx context.Context, s *scheduler.Schedule) opener {
	if s == nil {
		return nil
	}
	return func(key, _ string) (io.ReadCloser, error) { return a.schedules.Open(ctx, s, key) }
}

// openStored reads the rows of a file that is not on disk.
func openStored(ctx context.Context, open opener, key, name string, opts audience.Options) (*audience.Reader, error) {
	f, err := open(key, name)
	if err != nil {
		return nil, err
	}
	return audience.Open(ctx, audience.Source{Path: "-", Reader: &selfClosing{f}}, opts)
}

// selfClosing closes a file at its end: the reader of an audience does not
// close what it did not open. Abandoned before, the file is memory alone.
type selfClosing struct{ f io.ReadCloser }

func (s *selfClosing) Read(p []byte) (int, error) {
	n, err := s.f.Read(p)
	if err != nil {
		s.f.Close()
	}
	return n, err
}

// A named file of a campaign.
type namedFile struct{ key, name string }

// filesOf returns what a campaign file names that is a file.
func filesOf(def *campaign.Definition) []namedFile {
	var all []namedFile
	add := func(key, name string) {
		if name != "" {
			all = append(all, namedFile{key, name})
		}
	}
	add("content.markdown", def.Content.Markdown)
	add("content.html", def.Content.HTML)
	add("content.text", def.Content.Text)
	if isFile(def.Audience.Source) {
		add("audience.source", def.Audience.Source)
	}
	for i, e := range def.Exclude {
		if isFile(e.Source) {
			add(excludeKey(i), e.Source)
		}
	}
	return all
}

func excludeKey(i int) string { return "exclude[" + strconv.Itoa(i) + "]" }

// isFile reports whether a source of people is a file, not a list, a run or
// the standard input.
func isFile(source string) bool {
	_, isList := audience.ListName(source)
	return source != "-" && !isList && !strings.HasPrefix(source, "run:")
}
