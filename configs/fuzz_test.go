package configs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"broadside/configs/strictyaml"
)

// FuzzLoad reads any bytes as a configuration. Either it loads, always to
// the same settings, or every problem is one line of text with a place in the
// file, and always the same.
func FuzzLoad(f *testing.F) {
	var seeds []string
	for _, pattern := range []string{"testdata/*/*.yaml", "example.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("no file matches %s (%v)", pattern, err)
		}
		seeds = append(seeds, names...)
	}
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	opts := Options{Env: []string{"BROADSIDE_ACCOUNTS__SES_MAIN__PORT=25", "SMTP_URL=smtp://localhost", "HOST=x"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := load("f.yaml", data, opts)
		again, err2 := load("f.yaml", data, opts)
		if diff := cmp.Diff(outcome(c, err), outcome(again, err2)); diff != "" {
			t.Fatalf("two results (-first +second):\n%s", diff)
		}
		if err == nil {
			return
		}
		var problems strictyaml.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("got error %v of type %T, want Problems", err, err)
		}
		lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) +
			bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")) // line breaks of YAML
		for _, p := range problems {
			if p.Line > lines || p.Line > 0 && p.Column < 1 || p.Message == "" || strings.ContainsAny(p.Error(), "\r\n\x00") {
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			}
		}
	})
}

func outcome(c *Config, err error) any {
	if err != nil {
		return err.Error()
	}
	return c.Rows()
}
