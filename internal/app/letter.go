package app

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"broadside/campaign"
	"broadside/configs"
	"broadside/templates"
	"broadside/templates/compose"
)

// maxBody bounds a content file, in bytes.
const maxBody = templates.MaxSource

// accountsOf returns the accounts of a campaign: those it names, or the only
// one there is.
func accountsOf(cfg *configs.Config, def *campaign.Definition) ([]string, error) {
	if len(def.Delivery.Accounts) == 0 {
		switch names := namesOf(cfg.Accounts); len(names) {
		case 1:
			return names, nil
		case 0:
			return nil, noAccounts(cfg)
		default:
			return nil, configs.Problems{def.Problem("delivery.accounts", "missing: there are %d accounts (%s), say which to use", len(names), strings.Join(names, ", "))}
		}
	}
	var problems configs.Problems
	for i, name := range def.Delivery.Accounts {
		if _, ok := cfg.Accounts[name]; !ok {
			problems = append(problems, def.Problem("delivery.accounts["+strconv.Itoa(i)+"]", "no account %q; %s", name, known(name, cfg.Accounts)))
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return slices.Clone(def.Delivery.Accounts), nil
}

func namesOf[T any](configured map[string]T) []string {
	return slices.Sorted(maps.Keys(configured))
}

// known says what is configured, and what of it was most probably meant.
func known[T any](word string, configured map[string]T) string {
	names := namesOf(configured)
	if len(names) == 0 {
		return "none is configured"
	}
	text := "configured are " + strings.Join(names, ", ")
	if meant := configs.Suggest(word, names); meant != "" {
		text += "; did you mean " + meant + "?"
	}
	return text
}

// Snapshot reads everything that the messages of a campaign are made from.
// columns are the merge fields of its audience. The error has every problem.
func Snapshot(cfg *configs.Config, def *campaign.Definition, columns []string) (campaign.Snapshot, error) {
	return snapshot(cfg, def, columns, nil)
}

func snapshot(cfg *configs.Config, def *campaign.Definition, columns []string, open opener) (campaign.Snapshot, error) {
	s := campaign.Snapshot{
		Campaign: def.ID, Topic: def.Topic, TopicName: def.Topic, From: def.From, ReplyTo: def.ReplyTo,
		Subject: def.Subject, Preheader: def.Preheader, Layout: def.Content.Layout, Language: def.Content.Language, Logo: def.Content.Logo,
		Postal: cfg.PostalAddress, PublicURL: cfg.PublicURL, ReturnTo: cfg.Feedback.ReturnPath,
		Columns: columns, Rate: def.Delivery.Rate,
	}
	var errs []error
	if t, ok := cfg.Topics[def.Topic]; ok && t.Name != "" {
		s.TopicName = t.Name
	} else if !ok && len(cfg.Topics) > 0 {
		errs = append(errs, configs.Problems{def.Problem("topic", "no topic %q in %s; %s", def.Topic, cfg.Where(), known(def.Topic, cfg.Topics))})
	}
	if cfg.PublicURL == "" {
		errs = append(errs, invalid("public_url is not set: without it no message can have an unsubscribe link; set it in "+cfg.Where()+
			", or BROADSIDE_PUBLIC_URL, to the https address under which readers reach `broadside web`"))
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
	if body != "" { // else the campaign file was read in part
		s.BodyFile, *into, err = readBody(def, key, body, open)
		errs = append(errs, err)
	}
	if def.Content.Text != "" {
		s.TextFile, s.Text, err = readBody(def, "content.text", def.Content.Text, open)
		errs = append(errs, err)
	}
	errs = append(errs, placed(def, templates.Review(s)))
	return s, errors.Join(errs...)
}

// byteOrderMark is what some editors begin a UTF-8 file with.
const byteOrderMark = "\ufeff"

func readBody(def *campaign.Definition, key, name string, open opener) (file, text string, err error) {
	file = name
	if !filepath.IsAbs(file) {
		file = filepath.Join(def.Dir, file)
	}
	if open == nil {
		open = contentOnDisk(def.Dir)
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
		return file, "", configs.Problems{def.Problem(key, "%s is larger than %d MiB: put images on a server and link to them", file, maxBody>>20)}
	}
	text = strings.TrimPrefix(string(b), byteOrderMark)
	if strings.TrimSpace(text) == "" {
		return file, "", configs.Problems{def.Problem(key, "%s is empty", file)}
	}
	return file, text, nil
}

// bodyError says where the campaign file names a file that cannot be read.
// Trouble of the store stays what it is.
func bodyError(def *campaign.Definition, key string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return configs.Problems{def.Problem(key, "%v", err)}
	}
	return err
}

// placed gives problems with what the campaign file has of the templates itself,
// subject and preheader, their place in it.
func placed(def *campaign.Definition, err error) error {
	problems, ok := errors.AsType[templates.Problems](err)
	if !ok {
		return err
	}
	var inFile configs.Problems
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

// composer compiles a snapshot: template errors and unknown merge fields come
// out here, before anything is created.
func (a *App) composer(s campaign.Snapshot) (*compose.Composer, error) {
	if a.keys == nil {
		return nil, a.Config.RequireSecrets()
	}
	return compose.New(s, a.keys)
}

// fieldsOf returns the merge fields that a campaign uses.
func fieldsOf(s campaign.Snapshot) ([]string, error) { return templates.Fields(s) }
