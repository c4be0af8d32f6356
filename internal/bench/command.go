package bench

import (
	"slices"
	"strconv"
	"strings"
)

// Command returns the command line that measures the same again. It names no
// Redis: that URL may have a password. Its error is an *OptionError where the
// options cannot be used.
func (o Options) Command() (string, error) {
	o, err := o.checked()
	if err != nil {
		return "", err
	}
	return o.command(), nil
}

// command is Command of options that were checked.
func (o Options) command() string {
	d, words := Defaults(), []string{"broadside", "bench"}
	if !slices.Equal(o.Stages, Stages) {
		words = append(words, o.Stages...)
	}
	flag := func(name, value, def string) {
		if value != def {
			words = append(words, "--"+name, value)
		}
	}
	number := func(name string, value, def int) { flag(name, strconv.Itoa(value), strconv.Itoa(def)) }
	number("recipients", o.Recipients, d.Recipients)
	number("fields", o.Fields, d.Fields)
	number("size", o.Size, d.Size)
	number("connections", o.Connections, d.Connections)
	number("workers", o.Workers, d.Workers)
	flag("pipelining", o.Pipelining, d.Pipelining)
	flag("sink", o.Sink, "")
	flag("smtp", o.SMTP, "")
	flag("rtt", o.RTT.String(), "0s")
	if o.Redis != "" {
		flag("redis", "URL", "")
	}
	flag("redis-rtt", o.RedisRTT.String(), "0s")
	flag("for", o.For.String(), "0s")
	if o.AOF {
		words = append(words, "--aof")
	}
	if o.Limits {
		words = append(words, "--limits")
	}
	if o.Alone {
		words = append(words, "--alone")
	}
	return strings.Join(words, " ")
}
