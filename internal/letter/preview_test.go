package letter_test

import (
	"os"
	"path/filepath"
	"testing"

	"broadside/internal/letter"
)

// Other users of the machine must not read a preview, which has the address of a
// recipient, even if it replaces one that they could read.
func TestOnlyTheOwnerCanReadPreviewFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "look", "here")
	p := letter.Preview{HTML: "<p>x</p>", Text: "x", Message: []byte("x")}
	for range 2 {
		paths, err := p.Write(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) != 3 {
			t.Fatalf("got %v, want three files", paths)
		}
		for path, want := range map[string]os.FileMode{dir: 0o700, paths[0]: 0o600, paths[1]: 0o600, paths[2]: 0o600} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("%s: got mode %o, want %o", path, got, want)
			}
		}
		for _, path := range append(paths, dir) { // as earlier versions left them
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
