package app

import (
	"os"
	"path/filepath"
	"testing"

	"broadside/campaign"
	"broadside/internal/launch"
	"broadside/internal/testkit"
)

// The page of a link speaks the language of the campaign as it was when the run was made.
func TestLanguageOfARun(t *testing.T) {
	t.Parallel()
	testkit.NeedsServer(t)
	dir := t.TempDir()
	a := openProject(t, dir)
	for _, tt := range []struct{ id, content, want string }{
		{"with", "{markdown: letter.md, language: de}", "de"},
		{"without", "{markdown: letter.md}", ""},
	} {
		file := filepath.Join(dir, tt.id+".yaml")
		text := "id: " + tt.id + "\ntopic: newsletter\nfrom: Acme News <news@acme.example>\nsubject: Hello\n" +
			"audience: {source: people.csv}\ncontent: " + tt.content + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		def, err := campaign.Load(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		launched, err := a.Launcher.Launch(t.Context(), def, launch.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.languageOf(t.Context(), launched.Run); got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", tt.id, got, err, tt.want)
		}
	}

	if got, err := a.languageOf(t.Context(), "forgotten-20260101T000000Z"); got != "" || err != nil {
		t.Errorf("a forgotten run: got %q, %v; want none", got, err)
	}
}
