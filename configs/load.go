package configs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"broadside/configs/strictyaml"
	"broadside/internal/input"
)

// DefaultFile is read when Options name no file and it exists.
const DefaultFile = "broadside.yaml"

// makeSecret is the command that makes a secret.
const makeSecret = "export BROADSIDE_SECRET=$(openssl rand -hex 32)"

// Options say where a configuration comes from.
type Options struct {
	File string   // --config; empty: DefaultFile in Dir, if it is there
	Dir  string   // the working directory; empty: that of the process
	Env  []string // os.Environ()
}

// Load reads the configuration: defaults, file, platform variables and
// BROADSIDE_ variables, each over those before it. What is wrong comes back
// all at once as [Problems]; no message shows a secret. The file may be a pipe, for
// which ctx ends the waiting.
func Load(ctx context.Context, opts Options) (*Config, error) {
	name, data, err := readFile(ctx, opts)
	if err != nil {
		return nil, err
	}
	return load(name, data, opts)
}

// load is Load with the text of the file at hand; nil when there is none.
func load(name string, data []byte, opts Options) (*Config, error) {
	file, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if data == nil {
		file.Root().At = strictyaml.Place{File: strictyaml.Environment}
	}
	foldKeys(file, file.Root(), "")

	root, problems, err := layered(file.Root(), variables(opts.Env))
	if err != nil {
		return nil, err
	}
	doc := strictyaml.NewDoc(name, root)
	for _, p := range slices.Concat(file.Problems(), problems) {
		doc.Add(p)
	}
	expand(doc, root, "", opts.Env)

	c := &Config{Sources: sources(doc)}
	if data != nil {
		c.File = name
	} else if c.lookedIn, err = filepath.Abs(filepath.Dir(name)); err != nil {
		c.lookedIn = filepath.Dir(name)
	}
	base := opts.Dir
	if c.File != "" {
		base = filepath.Dir(name)
	}
	doc.Read(func(m *strictyaml.Map) { readConfig(m, c, base) })
	if err := doc.Err(); err != nil {
		return nil, err
	}
	c.SecretsInFile = secretsInFile(doc)
	return c, nil
}

// layered puts the sources of settings together, the last one on top.
func layered(file *strictyaml.Node, vars map[string]string) (*strictyaml.Node, strictyaml.Problems, error) {
	s := newStack()
	platform, problems := platformLayer(vars)
	for _, l := range []layer{defaults(), secretLayer(vars), fileLayer(file), platform} {
		if err := s.add(l); err != nil {
			return nil, nil, err
		}
	}
	below := s.settings()
	graft(below, file)
	env, envProblems := envLayer(vars, below)
	if err := s.add(env); err != nil {
		return nil, nil, err
	}
	root := s.settings()
	graft(root, file)
	return root, slices.Concat(problems, envProblems, s.problems), nil
}

// readFile returns the file's name, for messages, and its text. Without a
// file both the text and the error are nil.
func readFile(ctx context.Context, opts Options) (name string, data []byte, err error) {
	name = opts.File
	if name == "" {
		name = filepath.Join(opts.Dir, DefaultFile)
	} else if opts.Dir != "" && !filepath.IsAbs(name) {
		name = filepath.Join(opts.Dir, name)
	}
	data, err = input.ReadAll(ctx, name, strictyaml.MaxFile)
	if errors.Is(err, fs.ErrNotExist) && opts.File == "" {
		return name, nil, nil
	}
	if err != nil {
		return name, nil, strictyaml.FileProblem(name, err)
	}
	return name, data, nil
}

// secretLayer lies under the file: BROADSIDE_SECRET alone is the secret when
// nothing else sets any.
func secretLayer(vars map[string]string) layer {
	l := layer{}
	if v, ok := vars[secretVar]; ok {
		at := strictyaml.Place{Env: secretVar}
		l.set(&strictyaml.Node{Kind: strictyaml.List, At: at, Items: []*strictyaml.Node{{Kind: strictyaml.Scalar, At: at, Text: v}}}, "secrets")
	}
	return l
}

func sources(doc *strictyaml.Doc) map[string]string {
	out := map[string]string{}
	var walk func(n *strictyaml.Node, key string)
	walk = func(n *strictyaml.Node, key string) {
		for _, f := range n.Fields {
			sub := strictyaml.Join(key, f.Name)
			switch f.Value.Kind {
			case strictyaml.Mapping:
				walk(f.Value, sub)
			case strictyaml.Scalar, strictyaml.List:
				out[sub] = doc.Place(sub).String()
			}
			for i, item := range f.Value.Items {
				walk(item, fmt.Sprintf("%s[%d]", sub, i))
			}
		}
	}
	walk(doc.Root(), "")
	return out
}

// secretsInFile returns the keys of the secrets that were read and stand in the
// file as they are.
func secretsInFile(d *strictyaml.Doc) []string {
	var keys []string
	var walk func(n *strictyaml.Node, key string)
	walk = func(n *strictyaml.Node, key string) {
		if literalSecret(n) {
			keys = append(keys, key)
		}
		for _, f := range n.Fields {
			walk(f.Value, strictyaml.Join(key, f.Name))
		}
		if slices.ContainsFunc(n.Items, literalSecret) {
			keys = append(keys, key)
		}
		for i, item := range n.Items {
			if item.Kind == strictyaml.Mapping {
				walk(item, fmt.Sprintf("%s[%d]", key, i))
			}
		}
	}
	walk(d.Root(), "")
	return keys
}

// literalSecret reports whether n is a secret in a file. An address without a
// password is none.
func literalSecret(n *strictyaml.Node) bool {
	if n.Kind != strictyaml.Scalar || !n.Hidden || n.At.File == "" || n.Raw != "" || n.Text == "" {
		return false
	}
	return !hasScheme(n.Text) || strictyaml.RedactURL(n.Text) != n.Text
}

// Location returns the zone that times without one are in, and whether the
// configuration names one.
func (c *Config) Location() (*time.Location, bool) {
	if c.Timezone == "" {
		return time.UTC, false
	}
	loc, err := time.LoadLocation(c.Timezone)
	if err != nil { // Load has checked the name
		return time.UTC, false
	}
	return loc, true
}

// FileName is what a problem of the settings is said to be in.
func (c *Config) FileName() string {
	if c.File == "" {
		return DefaultFile
	}
	return c.File
}

// Where says in which file settings belong: the one that was read, else the one that
// was looked for, and where.
func (c *Config) Where() string {
	if c.lookedIn == "" {
		return c.FileName()
	}
	return DefaultFile + " (there is none in " + c.lookedIn + ")"
}

// RequireSecrets returns [Problems] with a line that makes a secret when the
// configuration has none.
func (c *Config) RequireSecrets() error {
	if len(c.Secrets) > 0 {
		return nil
	}
	file, looked := c.File, ""
	if file == "" {
		file, looked = strictyaml.Environment, ", nor in "+c.Where()
	}
	return strictyaml.Problems{{
		File: file, Key: "secrets",
		Message: "none is set" + looked + ", and links cannot be signed without one; make one once and keep it: " + makeSecret,
	}}
}

// ReadersElsewhere reports whether readers' links lead to another machine than
// this one.
func (c *Config) ReadersElsewhere() bool {
	u, err := url.Parse(c.PublicURL)
	return err == nil && u.Hostname() != "" && !IsLoopback(u.Hostname())
}
