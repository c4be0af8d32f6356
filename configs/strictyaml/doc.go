// Package strictyaml reads the YAML files that people write for Broadside: the
// configuration and campaign files.
//
// It keeps one promise: nothing in a file is ignored. An unknown key, a key given
// twice, a value of the wrong kind or out of range is a [Problem] with file, line
// and column, what was found and what was expected; all problems of a file are
// reported together, sorted by place, as [Problems].
//
// [Parse] reads the part of YAML that such files need: mappings, lists and
// scalars. Anchors, aliases, tags and several documents in one file are refused,
// so a small file is never a large value. A reader asks for the keys that it
// knows:
//
//	doc, err := strictyaml.Parse("october.yaml", data)
//	if err != nil {
//		return err
//	}
//	doc.Read(func(m *strictyaml.Map) {
//		m.Line("subject", &subject)
//		m.Map("delivery", func(m *strictyaml.Map) {
//			strictyaml.Rate(m, "rate", &rate)
//		})
//	})
//	return doc.Err()
//
// A document can also be put together from several sources ([NewDoc]), of which
// each value keeps the [Place] where it was set: a file, or a variable of the
// environment.
package strictyaml
