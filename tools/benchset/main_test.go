package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"broadside/internal/bench"
)

// TestMain is also the agent that measurements start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestNothingIsMeasuredInVain(t *testing.T) {
	t.Parallel()
	unmarked := filepath.Join(t.TempDir(), "unmarked.md")
	if err := os.WriteFile(unmarked, []byte("# No place for figures\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no set":       {nil, "found 0 arguments, expected one set: standard or quick"},
		"two sets":     {[]string{"quick", "standard"}, "found 2 arguments, expected one set"},
		"unknown set":  {[]string{"slow"}, `found the set "slow", expected standard or quick`},
		"unknown flag": {[]string{"-aof", "quick"}, "flag provided but not defined: -aof"},
		"sink":         {[]string{"-sink", "bucket", "quick"}, `--sink: found "bucket"`},
		"no document":  {[]string{"-write", "none.md", "standard"}, "there is no file none.md"},
		"no marks":     {[]string{"-write", unmarked, "standard"}, `unmarked.md: the line "` + beginMark + `" is there 0 times, expected once`},
		"agent":        {[]string{"agent", "other"}, "agent of a measurement"},
	} {
		var out, said bytes.Buffer
		err := run(t.Context(), tt.args, strings.NewReader(""), &out, &said)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
		if out.Len() > 0 || strings.Contains(said.String(), ", after ") {
			t.Errorf("%s: something was begun for it: %s%s", name, &out, &said)
		}
	}
}

func TestTableOfFigures(t *testing.T) {
	t.Parallel()
	limit := 0.8
	r := &setResult{
		Machine: bench.Machine{CPU: "Test CPU", Cores: 2, Go: "go1.26"},
		Figures: []figure{{Of: nameLong, What: "messages", Value: 7000, Unit: "/s"}, {Of: nameShort, What: "share", Value: 0.7, AtLeast: &limit, Missed: true, decimals: 2}},
	}
	var b strings.Builder
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `Test CPU, 2 core(s), go1.26
MEASUREMENT         WHAT      VALUE     WANTED
200,000 recipients  messages  7,000 /s  
20,000 recipients   share     0.70      at least 0.8: missed
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}
