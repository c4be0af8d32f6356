package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"broadside/configs"
)

// TestValuesAreBounded: wherever a value comes from, and however much its
// variables add to it.
func TestValuesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64<<10+1)
	for _, c := range []struct {
		name, file string
		env        []string
		want       string
	}{
		{"in the file", "namespace: acme\npostal_address: " + long + "\n", nil, "broadside.yaml:2:17: postal_address: found 65537 bytes, expected at most 65536"},
		{"in a variable", "", []string{"BROADSIDE_POSTAL_ADDRESS=" + long}, "BROADSIDE_POSTAL_ADDRESS: found 65537 bytes, expected at most 65536"},
		{"of variables", "postal_address: " + strings.Repeat("${X}", 1000) + "\n", []string{"X=" + strings.Repeat("x", 100)}, "broadside.yaml:1:17: postal_address: found more than 65536 bytes with the variables filled in: is X the right one?"},
		{"just not", "postal_address: " + long[1:] + "\n", nil, ""},
	} {
		dir := t.TempDir()
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, "broadside.yaml"), []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := configs.Load(t.Context(), configs.Options{Dir: dir, Env: c.env})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "xxx")) {
			t.Errorf("%s: %.300v, want %s", c.name, err, c.want)
		}
	}
}
