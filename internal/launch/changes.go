package launch

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/scheduler"
)

// A Change is one difference between a schedule and the one that it replaces.
type Change struct {
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
}

// changes compares a schedule with the one that it replaces.
func changes(old, s *scheduler.Schedule) []Change {
	if old == nil {
		return nil
	}

	var all []Change
	differ := func(what, from, to string) {
		if from != to {
			all = append(all, Change{what, from, to})
		}
	}
	differ("schedule", old.Timing.String(), s.Timing.String())
	differ("timezone", old.Timing.ZoneName(), s.Timing.ZoneName())
	differ("max_lateness", old.Timing.MaxLateness.String(), s.Timing.MaxLateness.String())
	if old.Recipients > 0 && s.Recipients > 0 { // else the audience was not read
		differ("recipients", fmt.Sprint(old.Recipients), fmt.Sprint(s.Recipients))
	}

	was, wasErr := campaign.Parse(old.File, filepath.Dir(old.File), old.Source)
	is, isErr := campaign.Parse(s.File, filepath.Dir(s.File), s.Source)
	if wasErr == nil && isErr == nil {
		for _, f := range fieldsOfFile {
			differ(f.name, f.value(was), f.value(is))
		}
	}

	for _, key := range fileKeys(old, s) {
		differ(key, fileText(old, key), fileText(s, key))
	}
	if len(all) == 0 && !bytes.Equal(old.Source, s.Source) {
		differ("campaign file", "other text", "new text")
	}

	return all
}

// fieldsOfFile are the values of a campaign file that are compared one by one.
var fieldsOfFile = []struct {
	name  string
	value func(*campaign.Definition) string
}{
	{"topic", func(d *campaign.Definition) string { return d.Topic }},
	{"from", func(d *campaign.Definition) string { return d.From }},
	{"reply_to", func(d *campaign.Definition) string { return d.ReplyTo }},
	{"subject", func(d *campaign.Definition) string { return d.Subject }},
	{"preheader", func(d *campaign.Definition) string { return d.Preheader }},
	{"audience", func(d *campaign.Definition) string { return d.Audience.Source }},
	{"query", func(d *campaign.Definition) string { return d.Audience.Remote.Query }},
	{"exclude", func(d *campaign.Definition) string { return fmt.Sprint(d.Exclude) }},
	{"layout", func(d *campaign.Definition) string { return d.Content.Layout }},
	{"language", func(d *campaign.Definition) string { return cmp.Or(d.Content.Language, campaign.DefaultLanguage) }},
	{"logo", func(d *campaign.Definition) string { return d.Content.Logo }},
	{"feed", func(d *campaign.Definition) string { return strictyaml.ShownURL(d.Content.Feed) }},
	{"tracking", func(d *campaign.Definition) string {
		return fmt.Sprintf("opens %t, clicks %t", d.Tracking.Opens, d.Tracking.Clicks)
	}},
	{"accounts", func(d *campaign.Definition) string { return accountList(d.Delivery) }},
	{"priority", func(d *campaign.Definition) string { return d.Priority }},
	{"window", func(d *campaign.Definition) string { return d.Schedule.Window }},
	{"zones of recipients", func(d *campaign.Definition) string { return zonesOf(d.Schedule) }},
	{"spread", func(d *campaign.Definition) string { return d.Schedule.Spread.String() }},
	{"rate", func(d *campaign.Definition) string { return fmt.Sprint(d.Delivery.Rate) }},
	{"delivery", func(d *campaign.Definition) string {
		return fmt.Sprintf("%d attempts, %v, expires after %v", d.Delivery.MaxAttempts, d.Delivery.Retry, d.Delivery.ExpiresAfter)
	}},
}

// zonesOf says whose clock a recipient lives by; empty when all get the campaign at once.
func zonesOf(s campaign.Schedule) string {
	if !s.Recipient {
		return ""
	}
	text := "field " + s.ZoneField
	if s.ZoneFallback != "" {
		text += ", else " + s.ZoneFallback
	}
	return text + ", when passed: " + s.WhenPassed
}

// accountList names the accounts of a campaign, with the weights that it sets.
func accountList(d campaign.Delivery) string {
	texts := slices.Clone(d.Accounts)
	for i, name := range texts {
		if weight, ok := d.Weights[name]; ok {
			texts[i] = fmt.Sprintf("%s (weight %d)", name, weight)
		}
	}
	return strings.Join(texts, ", ")
}

// fileKeys returns the keys of the campaign file under which schedules have files.
func fileKeys(all ...*scheduler.Schedule) []string {
	var keys []string
	for _, s := range all {
		for _, f := range s.Files {
			if !slices.Contains(keys, f.Key) {
				keys = append(keys, f.Key)
			}
		}
	}
	return keys
}

// fileText describes the file under a key by its name, its size and the beginning of
// its hash; empty when there is none.
func fileText(s *scheduler.Schedule, key string) string {
	for _, f := range s.Files {
		if f.Key == key {
			return fmt.Sprintf("%s, %d bytes, %s", f.Name, f.Size, f.Sum[:8])
		}
	}
	return ""
}
