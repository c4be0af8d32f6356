package campaign

import "slices"

// otherNames are names under which a provider is known elsewhere. Those of Other
// are providers whose recipients are not told apart here.
var otherNames = map[string]Provider{
	"apple": "icloud", "united_internet": "gmx", "united-internet": "gmx", "outlook": "microsoft", "google": "gmail",
	"yahoo_jp": Other, "tonline": Other, "laposte": Other, "free_fr": Other, "kpn": Other,
	"mimecast": Other, "barracuda": Other, "proofpoint": Other, "qq": Other,
}

// ProviderNamed returns the provider of a name: one of Providers, or another name
// that is in use for one, such as apple for icloud.
func ProviderNamed(name string) (p Provider, known bool) {
	if slices.Contains(Providers, Provider(name)) {
		return Provider(name), true
	}
	p, known = otherNames[name]
	return p, known
}
