package configs

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/configs/units"
)

// rows adds every setting of an account. Lanes, warm-up and oauth2 are shown where they
// are set.
func (a Account) rows(add func(key, value string)) {
	add("preset", a.Preset)
	add("region", a.Region)
	add("stream", a.Stream)
	add("host", a.Host)
	add("port", strconv.Itoa(a.Port))
	add("tls", a.TLS)
	add("allow_plaintext", strconv.FormatBool(a.AllowPlaintext))
	add("ca_file", a.CAFile)
	add("auth", a.Auth)
	add("username", a.Username)
	add("password", a.Password.String())
	if a.OAuth2 != nil {
		a.OAuth2.rows(add)
	}
	add("helo", a.Helo)
	a.Limits.rows(add)
	for _, name := range slices.Sorted(maps.Keys(a.Lanes)) {
		a.Lanes[name].rows(func(key, value string) { add("lanes."+name+"."+key, value) })
	}
	if len(a.Warmup.Days) > 0 {
		a.Warmup.rows(add)
	}
	add("pipelining", a.Pipelining)
}

func (o OAuth2) rows(add func(key, value string)) {
	add("oauth2.token_url", o.TokenURL)
	add("oauth2.client_id", o.ClientID)
	add("oauth2.client_secret", o.ClientSecret.String())
	add("oauth2.refresh_token", o.RefreshToken.String())
}

func (l Limits) rows(add func(key, value string)) {
	add("limits.rate", units.FormatRate(l.Rate))
	add("limits.per_hour", formatMessages(l.PerHour))
	add("limits.per_day", formatMessages(l.PerDay))
	add("limits.connections", strconv.Itoa(l.Connections))
	add("limits.connection_rate", units.FormatRate(l.ConnectionRate))
	add("limits.messages_per_connection", strconv.Itoa(l.MessagesPerConnection))
}

func (l Lane) rows(add func(key, value string)) {
	add("rate", units.FormatRate(l.Rate))
	add("connections", formatMessages(l.Connections))
	add("messages_per_connection", formatMessages(l.MessagesPerConnection))
}

func (w Warmup) rows(add func(key, value string)) {
	add("warmup.preset", w.Preset)
	add("warmup.start", w.Start.Format(time.DateOnly))
	days := make([]string, len(w.Days))
	for i, n := range w.Days {
		days[i] = strconv.Itoa(n)
	}
	add("warmup.days", strings.Join(days, ", "))
}
