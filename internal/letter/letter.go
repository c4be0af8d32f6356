// Package letter shows and checks what a campaign would send before it is launched: it
// reads the content into a snapshot, finds sentences with gaps, validates, previews one
// message, and sends test copies. It stores nothing, and the links of its messages
// unsubscribe no reader.
package letter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/sources"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/scheduler"
	"broadside/templates"
	"broadside/templates/compose"
)

// Read reads everything that the messages of a campaign are made from. columns are the
// merge fields of its audience. The error has every problem.
func Read(ctx context.Context, cfg *configs.Config, def *campaign.Definition, columns []string, from sources.Sources) (campaign.Snapshot, error) {
	s := campaign.Snapshot{
		Campaign: def.ID, Topic: def.Topic, TopicName: def.Topic, From: def.From, ReplyTo: def.ReplyTo,
		Subject: def.Subject, Preheader: def.Preheader, Layout: def.Content.Layout, Language: def.Content.Language, Logo: def.Content.Logo,
		Postal: cfg.PostalAddress, PublicURL: cfg.PublicURL, ReturnTo: cfg.Feedback.ReturnPath,
		Columns: columns, Rate: def.Delivery.Rate, Tracking: def.Tracking,
	}
	var errs []error
	if t, ok := cfg.Topics[def.Topic]; ok && t.Name != "" {
		s.TopicName = t.Name
	} else if !ok && len(cfg.Topics) > 0 {
		errs = append(errs, strictyaml.Problems{def.Problem("topic", "no topic %q in %s; %s", def.Topic, cfg.Where(), configs.Known(def.Topic, cfg.Topics))})
	}

	if cfg.PublicURL == "" {
		errs = append(errs, failure.Invalid("public_url is not set: without it no message can have an unsubscribe link; set it in "+cfg.Where()+
			", or BROADSIDE_PUBLIC_URL, to the https address under which readers reach `broadside web`"))
	}

	errs = append(errs, cfg.RequireSecrets())

	accounts, err := accountsOf(cfg, def)
	s.Accounts = accounts
	s.Weights = def.Delivery.Weights
	s.TokenHeader = tokenHeader(cfg, accounts)
	errs = append(errs, err, readContent(ctx, def, from, &s), Locate(def, templates.Review(s)))
	errs = append(errs, readFeed(ctx, cfg, def, from, &s))
	return s, errors.Join(errs...)
}

// readFeed puts the items of the feed, if there is one, into the content.
func readFeed(ctx context.Context, cfg *configs.Config, def *campaign.Definition, from sources.Sources, s *campaign.Snapshot) error {
	if def.Content.Feed == "" || s.Markdown == "" && s.HTML == "" {
		return nil // a file that could not be read is a problem already
	}
	if err := Locate(def, templates.CheckFeed(*s)); err != nil {
		s.Markdown = "" // what is wrong with it is known
		s.HTML = ""
		return err
	}
	if from.Feed == nil {
		return strictyaml.Problems{def.Problem("content.feed", "found a feed, which is for campaigns with an audience: leave the key out")}
	}

	zone, err := scheduler.ZoneOf(cfg, def)
	if err != nil {
		return err
	}
	if zone == nil {
		zone = time.UTC
	}
	items, err := from.Feed(ctx, def, zone)
	if err != nil {
		s.Markdown = ""
		s.HTML = ""
		return err
	}

	*s = templates.WithFeed(*s, items)
	for _, item := range items {
		s.FeedItems = append(s.FeedItems, item.ID)
	}
	return nil
}

// tokenHeader returns the header by which the webhooks of an account's relay know a message;
// empty where the Message-ID is enough.
func tokenHeader(cfg *configs.Config, accounts []string) string {
	for _, name := range accounts {
		if p, ok := configs.FindPreset(cfg.Accounts[name].Preset); ok && p.TokenHeader != "" {
			return p.TokenHeader
		}
	}
	return ""
}

// readContent reads the files of the content. Of a campaign file that was read in part
// some may be missing.
func readContent(ctx context.Context, def *campaign.Definition, from sources.Sources, s *campaign.Snapshot) error {
	var errs []error
	read := func(key, name string, path, text *string) {
		if name == "" {
			return
		}
		var err error
		*path, *text, err = readFile(ctx, def, from, key, name)
		errs = append(errs, err)
	}
	if def.Content.HTML != "" {
		read("content.html", def.Content.HTML, &s.BodyFile, &s.HTML)
	} else {
		read("content.markdown", def.Content.Markdown, &s.BodyFile, &s.Markdown)
	}

	read("content.text", def.Content.Text, &s.TextFile, &s.Text)
	return errors.Join(errs...)
}

// byteOrderMark is written by some editors at the beginning of a UTF-8 file.
const byteOrderMark = "\ufeff"

// readFile reads one file of the content, and returns its path and its text.
func readFile(ctx context.Context, def *campaign.Definition, from sources.Sources, key, name string) (path, text string, err error) {
	path = name
	if !filepath.IsAbs(path) {
		path = filepath.Join(def.Dir, path)
	}

	f, err := from.File(ctx, def, key, name)
	if err != nil {
		return path, "", locateFile(def, key, err)
	}
	defer f.Close()

	b, err := io.ReadAll(io.LimitReader(f, templates.MaxSource+1))
	if err != nil {
		return path, "", locateFile(def, key, err)
	}

	if len(b) > templates.MaxSource {
		return path, "", strictyaml.Problems{def.Problem(key, "%s is larger than %d MiB: put images on a server and link to them", path, templates.MaxSource>>20)}
	}

	text = strings.TrimPrefix(string(b), byteOrderMark)
	if strings.TrimSpace(text) == "" {
		return path, "", strictyaml.Problems{def.Problem(key, "%s is empty", path)}
	}

	return path, text, nil
}

// locateFile says where the campaign file names a file that cannot be read. Trouble with
// the store is returned as it is.
func locateFile(def *campaign.Definition, key string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return strictyaml.Problems{def.Problem(key, "%v", err)}
	}
	return err
}

// Locate gives the problems of subject and preheader their place in the campaign file,
// which has these two templates itself.
func Locate(def *campaign.Definition, err error) error {
	problems, ok := errors.AsType[templates.Problems](err)
	if !ok {
		return err
	}

	var inFile strictyaml.Problems
	var rest templates.Problems
	for _, p := range problems {
		if p.File == "subject" || p.File == "preheader" {
			inFile = append(inFile, def.Problem(p.File, "%s", p.Text))
		} else {
			rest = append(rest, p)
		}
	}

	switch {
	case len(inFile) == 0:
		return err
	case len(rest) == 0:
		return inFile
	}

	return errors.Join(inFile, rest)
}

// Check compiles a snapshot, so that errors in templates and unknown merge fields are
// found before anything is created.
func Check(cfg *configs.Config, s campaign.Snapshot) error {
	if err := cfg.RequireSecrets(); err != nil {
		return err
	}
	_, err := compose.New(s, nil)
	return err
}

// Keys derives the keys that sign the links of messages.
func Keys(cfg *configs.Config) (*token.Keys, error) {
	if err := cfg.RequireSecrets(); err != nil {
		return nil, err
	}

	secrets := make([]string, len(cfg.Secrets))
	for i, s := range cfg.Secrets {
		secrets[i] = s.Reveal()
	}

	keys, err := token.NewKeys(secrets)
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}

	return keys, nil
}
