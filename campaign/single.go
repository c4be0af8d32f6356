package campaign

import (
	"context"
	"path/filepath"

	"broadside/configs/strictyaml"
	"broadside/internal/input"
)

// LoadSingle reads the template of single messages: a campaign file without audience and
// schedule, in which the topic may be left out. Its errors are those of [Load].
func LoadSingle(ctx context.Context, file string) (*Definition, error) {
	data, err := input.ReadAll(ctx, file, strictyaml.MaxFile)
	if err != nil {
		return nil, strictyaml.FileProblem(file, err)
	}
	return parse(file, filepath.Dir(file), data, (*Definition).readSingle)
}

// readSingle reads the keys of a template, and refuses those of a message to many.
func (d *Definition) readSingle(m *strictyaml.Map) {
	d.readID(m)
	d.readHead(m)
	for _, key := range []string{"audience", "exclude", "schedule"} {
		if m.Has(key) {
			m.Problem(key, "found %s, expected none: this is the template of a message to one address; broadside campaign launch sends to an audience", key)
		}
		m.Ignore(key)
	}
	m.Map("content", d.readContent)
	m.Map("delivery", d.readDelivery)
	m.Off("tracking", "what readers do with a message to one address is not counted; leave the key out")
	m.Ignore("guard")    // there is nothing to pause
	m.Ignore("priority") // it is never behind bulk mail
}
