package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"broadside/configs"
	"broadside/internal/testkit"
)

// atTop reads a file of the module.
func atTop(t *testing.T, name string) string {
	t.Helper()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// isCommand fails the test when there is no command with these words.
func isCommand(t *testing.T, where string, words []string) {
	t.Helper()
	cmd, rest, err := rootCommand(&cli{}).Find(words)
	if err != nil || len(rest) > 0 || !cmd.Runnable() {
		t.Errorf("%s: broadside %s is no command", where, strings.Join(words, " "))
	}
}

// processTypes returns the types of processes that the Procfile has.
func processTypes(t *testing.T) []string {
	t.Helper()
	var types []string
	for line := range strings.Lines(atTop(t, "Procfile")) {
		name, command, ok := strings.Cut(strings.TrimSpace(line), ": ")
		words := strings.Fields(command)
		if !ok || len(words) < 2 || words[0] != "bin/broadside" {
			t.Fatalf("Procfile: found %q, expected NAME: bin/broadside COMMAND", line)
		}
		isCommand(t, "Procfile: "+name, words[1:])
		types = append(types, name)
	}
	return types
}

// TestAppJSON checks what a platform reads before the first start: every process type is
// in the Procfile, and every variable is a setting, whose value is a good one.
func TestAppJSON(t *testing.T) {
	t.Parallel()
	var app struct {
		Buildpacks []struct{ URL string }
		Addons     []struct{ Plan, As string }
		Formation  map[string]struct {
			Quantity int
			Size     string
		}
		Env map[string]struct {
			Description, Value, Generator string
			Required                      *bool
		}
	}
	if err := json.Unmarshal([]byte(atTop(t, "app.json")), &app); err != nil {
		t.Fatal(err)
	}

	types := slices.Sorted(maps.Keys(app.Formation))
	want := slices.DeleteFunc(processTypes(t), func(name string) bool { return name == "release" }) // it is a phase
	slices.Sort(want)
	if !slices.Equal(types, want) {
		t.Errorf("formation has %q, the Procfile %q", types, want)
	}
	if len(app.Buildpacks) != 1 || app.Buildpacks[0].URL != "heroku/go" || len(app.Addons) != 1 || app.Addons[0].As != "REDIS" {
		t.Errorf("buildpacks %v, addons %v: expected one of Go, and a Redis whose address is REDIS_URL", app.Buildpacks, app.Addons)
	}
	if mod := atTop(t, "go.mod"); !strings.Contains(mod, "// +heroku install ./cmd/broadside\n") {
		t.Error("go.mod does not tell the buildpack what to install")
	}

	// What a person fills in, or the platform.
	filled := map[string]string{
		"BROADSIDE_PUBLIC_URL": "https://news.acme.example", "BROADSIDE_POSTAL_ADDRESS": "Acme Ltd, 1 High Street, London",
		"SMTP_URL": "smtp://user:word@mail.acme.example:587",
	}
	env := []string{"REDIS_URL=rediss://:word@redis.acme.example:6380", "PORT=3000"}
	for name, v := range app.Env {
		value := v.Value
		switch {
		case v.Description == "":
			t.Errorf("%s has no description", name)
		case v.Generator == "secret":
			value = strings.Repeat("3f9a61c07e", 7)
		case v.Generator != "":
			t.Errorf("%s: found the generator %q, expected secret", name, v.Generator)
		case value == "" && filled[name] == "":
			t.Errorf("%s has no value, and a person would not know one", name)
		case value == "":
			value = filled[name]
		}
		if !strings.HasPrefix(name, "BROADSIDE_") && name != "SMTP_URL" && name != "LOG_LEVEL" {
			t.Errorf("%s: nothing reads it", name)
		}
		env = append(env, name+"="+value)
	}

	cfg, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir(), Env: env})
	if err != nil {
		t.Fatalf("the variables of app.json: %v", err)
	}
	if err := cfg.RequireSecrets(); err != nil || cfg.Accounts["default"].Limits.Rate == 0 || !cfg.Redis.TLSInsecure {
		t.Errorf("they do not set what they say: %v, %+v", err, cfg)
	}
}

// TestUnits checks that the units of systemd start what there is, and give it the time to
// end that it needs.
func TestUnits(t *testing.T) {
	t.Parallel()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	units, err := fs.Glob(os.DirFS(root), "docs/deploy/*.service")
	if err != nil || len(units) != 4 {
		t.Fatalf("found %d units, %v", len(units), err)
	}
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir(), Env: []string{}})
	if err != nil {
		t.Fatal(err)
	}

	drain := cfg.Worker.Drain.Seconds()
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/broadside (.+)$`)
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`)
	for _, name := range units {
		text := atTop(t, name)
		command := start.FindStringSubmatch(text)
		seconds := stop.FindStringSubmatch(text)
		if command == nil || seconds == nil {
			t.Errorf("%s has no ExecStart or TimeoutStopSec of the form that is expected", name)
			continue
		}
		isCommand(t, name, strings.Fields(command[1]))
		if n, err := strconv.Atoi(seconds[1]); err != nil || float64(n) < drain+5 {
			t.Errorf("%s: TimeoutStopSec is %s, expected five seconds more than worker.drain (%vs)", name, seconds[1], drain)
		}
		if !strings.Contains(text, "\nUser=broadside\n") {
			t.Errorf("%s does not run as a user of its own", name)
		}
	}
}
