package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line  string
		width int
		want  string
	}{
		"fits":            {"running 1 of 2", 80, "running 1 of 2"},
		"width not known": {strings.Repeat("x", 300), 0, strings.Repeat("x", 300)},
		"too long":        {"running 1 of 2", 8, "running\x1b[0m"},
		"last cell":       {"running", 7, "runnin\x1b[0m"},
		"letters":         {"läuft länger", 6, "läuft\x1b[0m"},
		"colours":         {"\x1b[36mrunning\x1b[0m on", 9, "\x1b[36mrunning\x1b[0m \x1b[0m"},
	} {
		if got := cut(c.line, c.width); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestInk(t *testing.T) {
	t.Parallel()
	on := ink{true}
	for text, want := range map[string]string{
		"failed":                   "\x1b[31mfailed\x1b[0m",
		"warning: 3 rows":          "\x1b[33mwarning\x1b[0m: 3 rows",
		"closed until 10:00: full": "\x1b[31mclosed\x1b[0m until 10:00: full",
		"not accepted":             "\x1b[31mnot accepted\x1b[0m",
		"failing":                  "failing",
		"the run failed":           "the run failed",
		"":                         "",
	} {
		if got := on.word(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if got := (ink{}).word(text); got != text {
			t.Errorf("without colours: got %q, want %q", got, text)
		}
	}
}

// TestColouredTable: colours take no cell of a column.
func TestColouredTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &cli{stdout: &out, stdoutTTY: true}
	if err := c.table([]string{"RUN", "STATE", "TOTAL"}, [][]string{{"a", "finished", "1"}, {"b", "paused", "23"}}); err != nil {
		t.Fatal(err)
	}

	want := "RUN  STATE     TOTAL\na    \x1b[32mfinished\x1b[0m      1\nb    \x1b[33mpaused\x1b[0m       23\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
