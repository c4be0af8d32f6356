package letter

import (
	"context"
	"errors"

	"broadside/campaign"
	"broadside/campaign/sources"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/templates"
)

// ReadSingle reads the template of single messages, and everything that they are made
// from. Its columns are the fields that it uses; it has no accounts where it names none.
// The error has every problem.
func ReadSingle(ctx context.Context, cfg *configs.Config, file string) (*campaign.Definition, campaign.Snapshot, error) {
	def, err := campaign.LoadSingle(ctx, file)
	if err != nil {
		return nil, campaign.Snapshot{}, err
	}

	s := campaign.Snapshot{
		Campaign: def.ID, Topic: def.Topic, TopicName: def.Topic, From: def.From, ReplyTo: def.ReplyTo, Single: true,
		Subject: def.Subject, Preheader: def.Preheader, Layout: def.Content.Layout, Language: def.Content.Language, Logo: def.Content.Logo,
		Postal: cfg.PostalAddress, PublicURL: cfg.PublicURL, Columns: []string{}, Weights: def.Delivery.Weights,
	}
	var errs []error
	if _, ok := cfg.Topics[def.Topic]; !ok && def.Topic != "" && len(cfg.Topics) > 0 {
		errs = append(errs, strictyaml.Problems{def.Problem("topic", "no topic %q in %s; %s", def.Topic, cfg.Where(), configs.Known(def.Topic, cfg.Topics))})
	}
	if len(def.Delivery.Accounts) > 0 {
		accounts, err := accountsOf(cfg, def)
		s.Accounts = accounts
		s.TokenHeader = tokenHeader(cfg, accounts)
		errs = append(errs, err)
	} else if only := cfg.SingleAccount(); only != "" {
		s.TokenHeader = tokenHeader(cfg, []string{only})
	}
	errs = append(errs, cfg.RequireSecrets(), readContent(ctx, def, sources.Sources{}, &s), Locate(def, templates.Review(s)))
	if err := errors.Join(errs...); err != nil {
		return nil, campaign.Snapshot{}, err
	}

	fields, err := templates.Fields(s)
	if err != nil {
		return nil, campaign.Snapshot{}, Locate(def, err)
	}
	s.Columns = append(s.Columns, fields...)
	return def, s, nil
}
