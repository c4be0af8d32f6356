package letter

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"broadside/configs"
)

func TestReadSingle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("receipt.md", "Dear {{.name}}\n")
	cfg := &configs.Config{
		Secrets:  []configs.Secret{"a-secret-of-the-tests-that-signs-nothing-real"},
		Accounts: map[string]configs.Account{"bulk": {}, "receipts": {Stream: configs.Transactional, Preset: "postmark"}},
		Topics:   map[string]configs.Topic{"orders": {}},
	}
	const head = "id: receipt\nfrom: Acme <shop@acme.example>\nsubject: Order {{.order}}\ncontent: {markdown: receipt.md}\n"
	def, s, err := ReadSingle(t.Context(), cfg, write("receipt.yaml", head))
	if err != nil {
		t.Fatal(err)
	}
	if def.ID != "receipt" || !s.Single || !slices.Equal(s.Columns, []string{"name", "order"}) || s.Accounts != nil || s.TokenHeader == "" {
		t.Errorf("got %+v", s)
	}

	_, s, err = ReadSingle(t.Context(), cfg, write("named.yaml", head+"delivery: {accounts: [bulk, {name: receipts, weight: 0}]}\ntopic: orders\n"))
	if err != nil || !slices.Equal(s.Accounts, []string{"bulk", "receipts"}) || s.Topic != "orders" || s.Weights["receipts"] != 0 || len(s.Weights) != 1 {
		t.Errorf("got %+v, %v", s, err)
	}

	for want, text := range map[string]string{
		`no account "recepits"`: head + "delivery: {accounts: [recepits]}\n",
		`no topic "order"`:      head + "topic: order\n",
		"missing.md":            strings.Replace(head, "receipt.md", "missing.md", 1),
		"wrong.yaml:3":          strings.Replace(head, "{{.order}}", "{{.order", 1),
	} {
		if _, _, err := ReadSingle(t.Context(), cfg, write("wrong.yaml", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, _, err := ReadSingle(t.Context(), &configs.Config{}, write("receipt.yaml", head)); err == nil || !strings.Contains(err.Error(), "secrets") {
		t.Errorf("without secrets: %v", err)
	}
}
