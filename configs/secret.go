package configs

import (
	"log/slog"

	"broadside/configs/strictyaml"
)

// A Secret is a value that no output may show: every way of printing it gives
// [redacted]. Reveal returns the value.
type Secret string

// Reveal returns the secret itself, for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// String returns [redacted], or nothing when the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return strictyaml.Redacted
}

// GoString keeps the secret out of %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps the secret out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
