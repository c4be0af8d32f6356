package templates

import "strings"

// Subject renders a subject template for people who are not its readers. Each merge
// field shows its name in brackets, "Hello [first_name]", so that it holds no
// reader's data. Conditions are decided as for a reader who has all fields. A
// template that cannot be rendered is returned as it is.
func Subject(text string) string {
	if !strings.Contains(text, "{{") {
		return cleanSubject(text)
	}

	src, problems := readSource("subject", text)
	used := map[string]bool{}
	problems = append(problems, check(src, nil, used)...)
	problems = append(problems, oversized(src)...)
	if len(problems) > 0 {
		return cleanSubject(text)
	}

	subject, err := parseFinal("subject", text, nil)
	if err != nil || workOf(subject.Tree).of(usualValue) > maxWork {
		return cleanSubject(text)
	}

	values := map[string]string{}
	for field := range used {
		values[field] = "[" + field + "]"
	}

	var b strings.Builder
	if err := subject.Execute(&b, values); err != nil {
		return cleanSubject(text)
	}

	return cleanSubject(b.String())
}
