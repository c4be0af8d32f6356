package campaign

import "strings"

// A Provider is a mailbox provider: the recipients of a run that share one
// form a part, and an account paces each of them in a lane of its own.
type Provider string

// Other is the provider of every domain that has none of its own.
const Other Provider = "other"

// Providers lists the providers; the position of one is its part number in a
// run. Only ever append: part numbers are stored.
var Providers = []Provider{Other, "gmail", "microsoft", "yahoo", "icloud", "gmx", "comcast", "orange", "proton", "zoho", "mailru", "yandex"}

var providerDomains = map[string]Provider{
	"gmail.com": "gmail", "googlemail.com": "gmail",
	"outlook.com": "microsoft", "hotmail.com": "microsoft", "live.com": "microsoft", "msn.com": "microsoft", "passport.com": "microsoft",
	"yahoo.com": "yahoo", "ymail.com": "yahoo", "rocketmail.com": "yahoo", "aol.com": "yahoo", "aim.com": "yahoo", "verizon.net": "yahoo", "att.net": "yahoo", "sbcglobal.net": "yahoo", "bellsouth.net": "yahoo",
	"icloud.com": "icloud", "me.com": "icloud", "mac.com": "icloud",
	"gmx.de": "gmx", "gmx.net": "gmx", "gmx.at": "gmx", "gmx.ch": "gmx", "gmx.com": "gmx", "web.de": "gmx", "mail.com": "gmx",
	"comcast.net": "comcast", "xfinity.com": "comcast",
	"orange.fr": "orange", "wanadoo.fr": "orange",
	"proton.me": "proton", "protonmail.com": "proton", "pm.me": "proton",
	"zoho.com": "zoho", "zohomail.com": "zoho",
	"mail.ru": "mailru", "bk.ru": "mailru", "inbox.ru": "mailru", "list.ru": "mailru",
	"yandex.ru": "yandex", "yandex.com": "yandex", "ya.ru": "yandex",
}

// national maps the first label of a provider's national domains
// (yahoo.co.uk, hotmail.fr, live.nl) to the provider.
var national = map[string]Provider{
	"yahoo": "yahoo", "hotmail": "microsoft", "live": "microsoft", "outlook": "microsoft",
}

// nationalSuffixes are what may follow a national label: hotmail.example.com
// belongs to no provider.
var nationalSuffixes = func() map[string]bool {
	m := map[string]bool{}
	for s := range strings.FieldsSeq("ar at be bg ca ch cl cn cz de dk ee es fi fr gr hk hr hu ie il in it jp kr lt lu lv mx nl no nz pe ph pl pt ro rs ru se sg sk tr tw ua uk za " +
		"co.uk co.in co.id co.il co.jp co.kr co.nz co.th co.za com.ar com.au com.br com.cn com.co com.hk com.mx com.my com.pe com.ph com.sg com.tr com.tw com.ua com.ve com.vn") {
		m[s] = true
	}
	return m
}()

// ProviderOf returns the provider of a domain in lower case. It looks at the
// name only; domains that a provider hosts for others are Other.
func ProviderOf(domain string) Provider {
	if p, ok := providerDomains[domain]; ok {
		return p
	}
	if label, rest, ok := strings.Cut(domain, "."); ok {
		if p, ok := national[label]; ok && nationalSuffixes[rest] {
			return p
		}
	}
	return Other
}

// PartOf returns the part number of the provider of a domain.
func PartOf(domain string) int {
	p := ProviderOf(domain)
	for i, q := range Providers {
		if p == q {
			return i
		}
	}
	return 0
}
