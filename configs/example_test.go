package configs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/configs"
)

func loadExample(t *testing.T) *configs.Config {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, configs.DefaultFile)
	if err := os.WriteFile(file, []byte(configs.Example), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(t.Context(), configs.Options{Dir: dir, Env: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// names are what users choose in a key.
var names = regexp.MustCompile(`^(accounts|topics|subscribe)\.[^.]+\.`)

// lanes are named by users too, also after domains.
var lanes = regexp.MustCompile(`\.lanes\..+\.([a-z_]+)$`)

// items are those of a list of keys and values.
var items = regexp.MustCompile(`\[\d+\]\.`)

// TestExampleHasEveryKey compares the fields of Config with what Rows prints,
// and with what the example file sets.
func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	rows, set := map[string]bool{}, map[string]bool{}
	for _, r := range loadExample(t).Rows() {
		key := names.ReplaceAllString(r.Key, "$1.NAME.")
		key = lanes.ReplaceAllString(key, ".lanes.NAME.$1")
		key = items.ReplaceAllString(key, "[].")
		rows[key] = true
		if r.Source != "default" {
			set[key] = true
		}
	}
	want := fieldKeys(reflect.TypeFor[configs.Config](), "")
	// What Load itself fills in.
	want = slices.DeleteFunc(want, func(key string) bool {
		return slices.Contains([]string{"file", "sources", "secrets_in_file", "accounts.NAME.name"}, key)
	})
	slices.Sort(want)
	if diff := cmp.Diff(want, sortedKeys(rows)); diff != "" {
		t.Errorf("keys of Rows (-fields +rows):\n%s", diff)
	}
	if diff := cmp.Diff(want, sortedKeys(set)); diff != "" {
		t.Errorf("keys of the example (-fields +example):\n%s", diff)
	}
}

func sortedKeys(m map[string]bool) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// fieldKeys returns the dotted keys of the fields of a struct type.
func fieldKeys(typ reflect.Type, prefix string) []string {
	var keys []string
	for f := range typ.Fields() {
		if !f.IsExported() {
			continue
		}
		key := prefix + snake(f.Name)
		switch {
		case f.Type == reflect.TypeFor[time.Time]():
			keys = append(keys, key)
		case f.Type.Kind() == reflect.Pointer:
			keys = append(keys, fieldKeys(f.Type.Elem(), key+".")...)
		case f.Type.Kind() == reflect.Struct:
			keys = append(keys, fieldKeys(f.Type, key+".")...)
		case f.Type == reflect.TypeFor[[]configs.Webhook]():
			keys = append(keys, fieldKeys(f.Type.Elem(), key+"[].")...)
		case f.Type == reflect.TypeFor[[]configs.Mailbox](): // its address is one value
			keys = append(keys, key)
			keys = append(keys, fieldKeys(reflect.TypeFor[configs.OAuth2](), key+"[].oauth2.")...)
		case f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct:
			keys = append(keys, fieldKeys(f.Type.Elem(), key+".NAME.")...)
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

var words = regexp.MustCompile(`([a-z])([A-Z])|([A-Z])([A-Z][a-z])`)

func snake(name string) string {
	name = strings.ReplaceAll(name, "OAuth", "Oauth")
	return strings.ToLower(words.ReplaceAllString(name, "${1}${3}_${2}${4}"))
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	c := loadExample(t)
	c.RedisURL = "redis://user:hunter2@redis.example:6379/0?password=hunter2"
	for _, out := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprint(c.Rows())} {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "thirty-two-bytes") {
			t.Errorf("a secret is printed: %s", out)
		}
	}
	if got := c.Accounts["ses-main"].Password.Reveal(); got != "hunter2" {
		t.Errorf("got password %q", got)
	}
}

func TestExampleSecretIsRefused(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`One like (\S+) is`).FindStringSubmatch(configs.Example)
	if secret == nil {
		t.Fatal("the example file shows no secret")
	}
	_, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir(), Env: []string{"BROADSIDE_SECRETS=" + secret[1]}})
	if err == nil || !strings.Contains(err.Error(), "secret of the example file") || strings.Contains(err.Error(), secret[1]) {
		t.Errorf("got %v", err)
	}
}
