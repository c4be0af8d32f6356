package app

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"broadside/campaign"
	"broadside/configs"
	"broadside/sender"
	"broadside/templates"
)

// maxBody bounds a content file.
const maxBody = 4 << 20

// accountsOf returns the accounts of a campaign: those it names, or the only
// one there is.
func accountsOf(cfg *configs.Config, def *campaign.Definition) ([]string, error) {
	known := make([]string, 0, len(cfg.Accounts))
	for name := range cfg.Accounts {
		known = append(known, name)
	}
	sort.Strings(known)
	if len(def.Delivery.Accounts) == 0 {
		switch len(known) {
		case 1:
			return known, nil
		case 0:
			return nil, invalid("no account is configured: add one under accounts in " + configName(cfg) + ", or set SMTP_URL=smtp://user:password@host:587")
		}
		return nil, configs.Problems{def.Problem("delivery.accounts", "missing: there are %d accounts (%s), say which to use", len(known), strings.Join(known, ", "))}
	}
	var problems configs.Problems
	for i, name := range def.Delivery.Accounts {
		if _, ok := cfg.Accounts[name]; !ok {
			hint := "no account is configured"
			if len(known) > 0 {
				hint = "configured are " + strings.Join(known, ", ")
			}
			problems = append(problems, def.Problem("delivery.accounts["+itoa(i)+"]", "no account %q; %s", name, hint))
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return slices.Clone(def.Delivery.Accounts), nil
}

func configName(cfg *configs.Config) string {
	if cfg.File != "" {
		return cfg.File
	}
	return "broadside.yaml"
}

// Snapshot reads everything that the messages of a campaign are made from.
// columns are the merge fields of its audience. The error has every problem.
func Snapshot(cfg *configs.Config, def *campaign.Definition, columns []string) (campaign.Snapshot, error) {
	return snapshot(cfg, def, columns, nil)
}

func snapshot(cfg *configs.Config, def *campaign.Definition, columns []string, open opener) (campaign.Snapshot, error) {
	s := campaign.Snapshot{
		Campaign: def.ID, Topic: def.Topic, TopicName: def.Topic, From: def.From, ReplyTo: def.ReplyTo,
		Subject: def.Subject, Preheader: def.Preheader, Layout: def.Content.Layout,
		Postal: cfg.PostalAddress, PublicURL: cfg.PublicURL, ReturnTo: cfg.Feedback.ReturnPath,
		Columns: columns, Rate: def.Delivery.Rate,
	}
	var errs []error
	if t, ok := cfg.Topics[def.Topic]; ok && t.Name != "" {
		s.TopicName = t.Name
	} else if !ok && len(cfg.Topics) > 0 {
		errs = append(errs, configs.Problems{def.Problem("topic", "no topic %q in %s", def.Topic, configName(cfg))})
	}
	if cfg.PublicURL == "" {
		errs = append(errs, invalid("public_url is not set: without it no message can have an unsubscribe link; set it in "+configName(cfg)+
			" (or BROADSIDE_PUBLIC_URL) to the https address under which readers reach `broadside web`"))
	}
	errs = append(errs, cfg.RequireSecrets())
	var err error
	if s.Accounts, err = accountsOf(cfg, def); err != nil {
		errs = append(errs, err)
	}
	body, key, into := def.Content.Markdown, "content.markdown", &s.Markdown
	if def.Content.HTML != "" {
		body, key, into = def.Content.HTML, "content.html", &s.HTML
	}
	s.BodyFile, *into, err = readBody(def, key, body, open)
	errs = append(errs, err)
	if def.Content.Text != "" {
		s.TextFile, s.Text, err = readBody(def, "content.text", def.Content.Text, open)
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

func readBody(def *campaign.Definition, key, name string, open opener) (file, text string, err error) {
	file = name
	if !filepath.IsAbs(file) {
		file = filepath.Join(def.Dir, file)
	}
	if open == nil {
		open = onDisk(def.Dir)
	}
	f, err := open(key, name)
	if err != nil {
		return file, "", bodyError(def, key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBody+1))
	switch {
	case err != nil:
		return file, "", bodyError(def, key, err)
	case len(b) > maxBody:
		return file, "", configs.Problems{def.Problem(key, "%s is larger than 4 MiB", file)}
	case len(strings.TrimSpace(string(b))) == 0:
		return file, "", configs.Problems{def.Problem(key, "%s is empty", file)}
	}
	return file, string(b), nil
}

// bodyError says where the campaign file names a file that cannot be read.
// Trouble of the store stays what it is.
func bodyError(def *campaign.Definition, key string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return configs.Problems{def.Problem(key, "%v", err)}
	}
	return err
}

// composer compiles a snapshot: template errors and unknown merge fields come
// out here, before anything is created.
func (a *App) composer(s campaign.Snapshot) (*sender.Composer, error) {
	if a.keys == nil {
		return nil, a.Config.RequireSecrets()
	}
	return sender.NewComposer(s, a.keys)
}

// fieldsOf returns the merge fields that a campaign uses.
func fieldsOf(s campaign.Snapshot) ([]string, error) { return templates.Fields(s) }
