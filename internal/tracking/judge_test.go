package tracking_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/token"
	"broadside/internal/tracking"
)

// Programs with which people read mail and follow links, and others.
const (
	chrome     = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	iphone     = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
	outlook    = "Mozilla/4.0 (compatible; ms-office; MSOffice 16)"
	thunder    = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0"
	cubot      = "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
	gmailProxy = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
	yahooProxy = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
	appleProxy = "Mozilla/5.0"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	opened := func(agent string) tracking.Visit {
		return tracking.Visit{Reader: token.Reader{Sent: now.Add(-time.Hour)}, Agent: agent, At: now, From: netip.MustParseAddr("203.0.113.7")}
	}
	clicked := func(agent string) tracking.Visit {
		v := opened(agent)
		v.Link = 1
		v.Links = 3
		return v
	}
	with := func(v tracking.Visit, edit func(*tracking.Visit)) tracking.Visit {
		edit(&v)
		return v
	}
	after := func(d time.Duration) func(*tracking.Visit) {
		return func(v *tracking.Visit) { v.Reader.Sent = v.At.Add(-d) }
	}
	from := func(a string) func(*tracking.Visit) {
		return func(v *tracking.Visit) { v.From = netip.MustParseAddr(a) }
	}
	machine := func(reason string) tracking.Judgement { return tracking.Judgement{Machine: reason} }

	for _, tt := range []struct {
		name  string
		visit tracking.Visit
		want  tracking.Judgement
	}{
		{"Chrome clicks", clicked(chrome), tracking.Judgement{}},
		{"iPhone clicks", clicked(iphone), tracking.Judgement{}},
		{"iPhone opens", opened(iphone), tracking.Judgement{}},
		{"Outlook opens", opened(outlook), tracking.Judgement{}},
		{"Thunderbird opens", opened(thunder), tracking.Judgement{}},
		{"a telephone whose name ends with bot", clicked(cubot), tracking.Judgement{}},
		{"an app that loads pictures by a library", opened("okhttp/4.12.0"), tracking.Judgement{}},
		{"from nowhere", with(clicked(chrome), func(v *tracking.Visit) { v.From = netip.Addr{} }), tracking.Judgement{}},

		{"Gmail's proxy", opened(gmailProxy), tracking.Judgement{Proxy: "google"}},
		{"Yahoo's proxy", opened(yahooProxy), tracking.Judgement{Proxy: "yahoo"}},
		{"Apple's proxy", opened(appleProxy), tracking.Judgement{Proxy: "apple", Alone: true}},
		{"Apple's proxy, at once", with(opened(appleProxy), after(time.Second)), tracking.Judgement{Proxy: "apple", Alone: true}},
		{"Gmail's proxy, at once", with(opened(gmailProxy), after(time.Second)), machine("soon")},
		{"the bare name follows a link", clicked(appleProxy), tracking.Judgement{}},

		{"HEAD", with(clicked(chrome), func(v *tracking.Visit) { v.Head = true }), machine("head")},
		{"HEAD of the picture", with(opened(chrome), func(v *tracking.Visit) { v.Head = true }), machine("head")},
		{"prefetch", with(clicked(chrome), func(v *tracking.Visit) { v.Prefetch = true }), machine("prefetch")},
		{"before it was sent", with(clicked(chrome), after(-time.Second)), machine("soon")},
		{"after nine seconds", with(clicked(chrome), after(9*time.Second)), machine("soon")},
		{"after ten seconds", with(clicked(chrome), after(10*time.Second)), tracking.Judgement{}},

		{"no name", clicked(""), machine("agent")},
		{"blanks", opened("  "), machine("agent")},
		{"Barracuda", clicked("Barracuda Sentinel (EE)"), machine("agent")},
		{"Proofpoint", clicked("Mozilla/5.0 (compatible; Proofpoint URL Defense)"), machine("agent")},
		{"Googlebot", clicked("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), machine("agent")},
		{"Slack", clicked("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"), machine("agent")},
		{"Facebook", clicked("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"), machine("agent")},
		{"WhatsApp", clicked("WhatsApp/2.23.20.0"), machine("agent")},
		{"headless", clicked("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36"), machine("agent")},
		{"curl", clicked("curl/8.11.0"), machine("agent")},
		{"Go", clicked("Go-http-client/2.0"), machine("agent")},
		{"Python", opened("python-requests/2.32.3"), machine("agent")},

		{"Barracuda's network", with(clicked(chrome), from("209.222.82.1")), machine("network")},
		{"Proofpoint's network", with(clicked(chrome), from("67.231.159.255")), machine("network")},
		{"mapped", with(clicked(chrome), from("::ffff:67.231.144.1")), machine("network")},
		{"beside it", with(clicked(chrome), from("67.231.160.0")), tracking.Judgement{}},
		{"IPv6", with(clicked(chrome), from("2001:db8::1")), tracking.Judgement{}},
	} {
		if diff := cmp.Diff(tt.want, tracking.Judge(tt.visit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
