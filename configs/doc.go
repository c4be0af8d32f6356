// Package configs holds the settings of Broadside. It answers what is set, and
// where it was set.
//
// [Load] lays four layers over each other: the defaults, the file, the
// variables that platforms set (REDIS_URL, REDIS_TLS_URL, PORT, SMTP_URL), and BROADSIDE_
// variables. A later layer wins, key by key, and [Config.Sources] remembers
// which one did. Keys, and so the names of accounts and topics, are
// case-insensitive and stored in lower case. Whatever is wrong is reported at
// once, as [strictyaml.Problems].
//
// The package does not open what the configuration names: certificates, Redis
// and SMTP servers are checked by the packages that use them.
package configs
