package tracking

import (
	"net/netip"
	"strings"
	"time"

	"broadside/campaign/token"
)

// A Visit is one request for a link or for the picture of a message.
type Visit struct {
	Reader token.Reader

	Link, Links int // of a click: the number of the link, and how many the letter has; 0: the picture

	Head     bool   // the method was HEAD
	Prefetch bool   // the request says that no one asked for it yet
	Agent    string // User-Agent
	From     netip.Addr
	At       time.Time
}

// Reasons for which a visit is no reader's.
const (
	machineHead     = "head"     // only asks whether there is something
	machinePrefetch = "prefetch" // says so itself
	machineSoon     = "soon"     // before anybody can have read it
	machineAgent    = "agent"    // the name of a program that no one reads with
	machineNetwork  = "network"  // where only machines are
)

// soon is the time from the Date of a message within which no one reads it: it has to be
// taken, sorted and shown first.
const soon = 10 * time.Second

// A Judgement says whose visit it was, as far as one request shows that.
type Judgement struct {
	Machine string // the reason why it was no reader; empty: it may have been one
	Proxy   string // of an open: whose proxy asked for the picture
	Alone   bool   // the proxy asks for pictures whether or not somebody opens the message
}

// Judge says whose visit it was.
func Judge(v Visit) Judgement {
	click := v.Link > 0
	if !click {
		// First: proxies ask soon, and Apple's is not to be mistaken for a scanner.
		for _, p := range proxies {
			if p.is(v.Agent) && p.alone {
				return Judgement{Proxy: p.name, Alone: true}
			}
		}
	}

	switch {
	case v.Head:
		return Judgement{Machine: machineHead}
	case v.Prefetch:
		return Judgement{Machine: machinePrefetch}
	case v.At.Sub(v.Reader.Sent) < soon:
		return Judgement{Machine: machineSoon}
	case isMachine(v.Agent):
		return Judgement{Machine: machineAgent}
	case inMachineNetwork(v.From):
		return Judgement{Machine: machineNetwork}
	case click:
		return Judgement{}
	}

	for _, p := range proxies {
		if p.is(v.Agent) {
			return Judgement{Proxy: p.name}
		}
	}
	return Judgement{}
}

// A proxy asks for the pictures of messages in place of mail programs.
type proxy struct {
	name   string
	is     func(agent string) bool
	alone  bool
	source string // what it is known from
}

func contains(word string) func(string) bool {
	return func(agent string) bool { return strings.Contains(agent, word) }
}

func exactly(text string) func(string) bool {
	return func(agent string) bool { return strings.TrimSpace(agent) == text }
}

// proxies are the proxies that are known. Google's and Yahoo's ask when somebody opens the
// message, as a rule; Apple's asks for the pictures of all messages.
var proxies = []proxy{
	{"apple", exactly("Mozilla/5.0"), true, "https://help.socketlabs.com/docs/identifying-apple-mpp-opens-in-notification-api-events; the bare name as seen in logs"},
	{"google", contains("GoogleImageProxy"), false, "https://darkvisitors.com/agents/googleimageproxy"},
	{"yahoo", contains("YahooMailProxy"), false, "https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"},
}

// Where the words in machineWords are from.
const (
	gateways  = "https://check.live-direct-marketing.online/blog/bot-clicks-security-scanners-detect"
	openers   = "https://www.gmass.co/blog/false-opens-in-gmail/"
	crawlers  = "how crawlers name themselves; not the word alone, which is in the names of telephones"
	byDefault = "what the library says unless it is told otherwise"
)

// machineWords are words in the names of programs with which no one reads mail, in lower
// case: link scanners of mail gateways, previews of messengers, crawlers, libraries. What
// apps on telephones use to load pictures (okhttp, Dalvik, CFNetwork) is not among them.
var machineWords = []struct{ word, source string }{
	{"barracuda", gateways},
	{"proofpoint", gateways},
	{"mimecast", gateways},
	{"ciscosecureemail", gateways},
	{"hubspot connect", openers},
	{"ahc/", openers},
	{"amazon cloudfront", openers},
	{"bot/", crawlers},
	{"slackbot", crawlers},
	{"telegrambot", crawlers},
	{"whatsapp/", crawlers},
	{"crawler", crawlers},
	{"spider", crawlers},
	{"facebookexternalhit", crawlers},
	{"headlesschrome", byDefault},
	{"curl/", byDefault},
	{"wget/", byDefault},
	{"python-requests/", byDefault},
	{"python-urllib/", byDefault},
	{"go-http-client/", byDefault},
	{"libwww-perl/", byDefault},
}

// isMachine reports whether no one reads mail with a program. One without a name is none
// that people use.
func isMachine(agent string) bool {
	agent = strings.ToLower(strings.TrimSpace(agent))
	if agent == "" {
		return true
	}
	for _, known := range machineWords {
		if strings.Contains(agent, known.word) {
			return true
		}
	}
	return false
}

// machineNetworks are networks from which mail gateways ask for links. The table is short:
// it has what operators publish, and no guesses at clouds, where readers' proxies are too.
var machineNetworks = []struct {
	network netip.Prefix
	source  string
}{
	{netip.MustParsePrefix("209.222.80.0/21"), "https://campus.barracuda.com/product/emailgatewaydefense/doc/96023004/ip-analysis-inbound/"},
	{netip.MustParsePrefix("62.209.50.0/24"), "https://proofpoint.my.site.com/support/PPSup_SupportInfo"},
	{netip.MustParsePrefix("67.231.144.0/20"), "https://proofpoint.my.site.com/support/PPSup_SupportInfo"},
	{netip.MustParsePrefix("91.209.104.0/24"), "https://proofpoint.my.site.com/support/PPSup_SupportInfo"},
	{netip.MustParsePrefix("208.84.64.0/22"), "https://proofpoint.my.site.com/support/PPSup_SupportInfo"},
	{netip.MustParsePrefix("208.86.200.0/22"), "https://proofpoint.my.site.com/support/PPSup_SupportInfo"},
}

func inMachineNetwork(from netip.Addr) bool {
	from = from.Unmap()
	for _, known := range machineNetworks {
		if known.network.Contains(from) {
			return true
		}
	}
	return false
}
