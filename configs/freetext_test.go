package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"broadside/configs"
)

func loadText(t *testing.T, text string) (*configs.Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configs.DefaultFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return configs.Load(t.Context(), configs.Options{Dir: dir, Env: []string{"CITY=London"}})
}

// A # behind a blank begins a comment, also where a person only meant to write a
// number.
func TestCommentsThatEatText(t *testing.T) {
	t.Parallel()
	const account = "accounts:\n  a:\n    host: h.example\n    username: u\n    "
	for _, tt := range []struct{ text, want string }{
		{"postal_address: 1 High Street #12, London\n", `:1:17: postal_address: found "1 High Street", and YAML leaves out "#12, London" as a comment; write postal_address: "1 High Street #12, London"`},
		{"postal_address: ${CITY} #12\n", `write postal_address: "${CITY} #12"`},
		{"topics:\n  n:\n    name: News #1\n", `:3:11: topics.n.name: found "News", and YAML leaves out "#1" as a comment; write name: "News #1"`},
		{"topics:\n  n:\n    description: \"a\" #1\n    name: #1\n", `:4:10: topics.n.name: found nothing, and YAML leaves out "#1"`},
		{account + "password: hunter2 #x\n", `:5:15: accounts.a.password: found # behind a blank`},
		{account + "password: #hunter2\n", `:5:14: accounts.a.password: found # behind a blank`},
		{"secrets:\n- 0123456789012345678901234567890123456789 #hunter2\n", `:2:3: secrets: found # behind a blank`},
		{"topics:\n  n:\n    name: \"News \\u202eswen\"\n", `topics.n.name: found "News \u202eswen", which has the invisible character U+202E`},
		{"topics:\n  n:\n    name: " + strings.Repeat("x", 5000) + "\n", "a name of 5000 characters, expected at most 200"},
		{"feedback: {return_path: " + strings.Repeat("b.", 100) + "example}\n", "expected a domain such as bounce.acme.example, of at most 200 bytes"},
		{"postal_address: \"London\" x\n", `found text behind the closing quote; put quotes around the whole value: postal_address: '"London" x'`},
		{"listen: \":1\"\npostal_address: [London] x\n", `:2:1: found a value that begins with [, which has a meaning in YAML; put quotes around the whole value: postal_address: "[London] x"`},
		{"postal_address: *London* x\nlisten: \":1\"\n", `:1:1: found a value that begins with *, which has a meaning in YAML; put quotes around the whole value: postal_address: "*London* x"`},
		{"postal_address: {London} x\n", `put quotes around the whole value: postal_address: "{London} x"`},
		{account + "password: \"hunter2\"x\n    port: 25\n", `:5:5: found text behind the closing quote; put quotes around the whole value`},
		{account + "password: *hunter2 x\n", `:5:5: found a value that begins with *, which has a meaning in YAML; put quotes around the whole value`},
		{"secrets: \"hunter2\"x\n", `:1:1: found text behind the closing quote; put quotes around the whole value`},
	} {
		_, err := loadText(t, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.80s: got %.300v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestCommentsThatEatNothing(t *testing.T) {
	t.Parallel()
	c, err := loadText(t, "\ufeffpostal_address: \"1 High Street #12\" # a note\nnamespace: acme # a note\n"+
		"topics:\n  n: # a note\n    name: # a note\n    description: 'No #1' #note\n"+
		"accounts:\n  a:\n    host: h.example # a note\n    username: u#1\n    password: hunter2 # a note\n")
	if err != nil {
		t.Fatal(err)
	}
	a := c.Accounts["a"]
	if c.PostalAddress != "1 High Street #12" || c.Topics["n"].Name != "n" || c.Topics["n"].Description != "No #1" || a.Username != "u#1" || a.Password.Reveal() != "hunter2" {
		t.Errorf("got %+v, %+v", c, a)
	}
}
