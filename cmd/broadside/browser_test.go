package main

import (
	"slices"
	"testing"
)

func TestOpener(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		system string
		env    map[string]string
		want   string // empty: an error
	}{
		"Linux with X11":          {"linux", map[string]string{"DISPLAY": ":0"}, "xdg-open"},
		"Linux with Wayland":      {"linux", map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, "xdg-open"},
		"Linux with a browser":    {"linux", map[string]string{"BROWSER": "w3m"}, "xdg-open"},
		"Linux without a display": {"linux", nil, ""},
		"FreeBSD":                 {"freebsd", map[string]string{"DISPLAY": ":0"}, "xdg-open"},
		"macOS":                   {"darwin", nil, "open"},
		"Windows":                 {"windows", nil, "rundll32"},
	} {
		got, args, err := opener(c.system, func(key string) string { return c.env[key] })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: opener is %q, %v; want %q", name, got, err, c.want)
		}

		if slices.Contains(args, "") {
			t.Errorf("%s: an empty argument in %q", name, args)
		}
	}
}
