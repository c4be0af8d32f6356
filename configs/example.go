package configs

import _ "embed"

// Example is a configuration file that shows every key.
//
//go:embed example.yaml
var Example string
