// Package configs holds the configuration of Broadside and the strict YAML
// reader that configuration and campaign files share.
//
// It answers "what is set, and where was it set", and keeps one promise:
// nothing in a file is ignored. An unknown key, a key given twice, a value of
// the wrong kind or out of range is a [Problem] with file, line and column,
// what was found and what was expected; all problems of a file are reported
// together, sorted by place, as [Problems].
//
// [Load] lays four layers over each other: the defaults, the file, the
// variables that platforms set (REDIS_URL, PORT, SMTP_URL), and BROADSIDE_
// variables. A later layer wins, key by key, and [Config.Sources] remembers
// which one did. Keys, and so the names of accounts and topics, are
// case-insensitive and stored in lower case.
//
// [ParseYAML] reads the part of YAML that such files need: mappings, lists and
// scalars. Anchors, aliases, tags and several documents in one file are
// refused, so a small file is never a large value. A reader asks for the keys
// that it knows:
//
//	doc, err := configs.ParseYAML("october.yaml", data)
//	if err != nil {
//		return err
//	}
//	doc.Read(func(m *configs.Map) {
//		m.Line("subject", &subject)
//		m.Map("delivery", func(m *configs.Map) {
//			m.Rate("rate", &rate)
//		})
//	})
//	return doc.Err()
//
// It does not open what the configuration names: certificates, Redis and SMTP
// servers are looked at by those who use them.
package configs
