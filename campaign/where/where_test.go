package where

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	columns := []string{"plan", "city", "age", "in_2026"}
	ada := []string{"pro", "Köln", "36", ""}
	for text, want := range map[string]bool{
		`plan == "pro"`:                                   true,
		`plan == "pro" && city != ""`:                     true,
		`plan in ["free", "trial"]`:                       false,
		`plan not in ["free", "trial"] and city == ""`:    false,
		`number(age) >= 18`:                               true,
		`number(age) > 36`:                                false,
		`number(in_2026) > 0 or number(in_2026) <= 0`:     false,
		`lower(email) == "ada@example.org"`:               true,
		`domain endsWith ".org" and not (city == "Bonn")`: true,
		`city matches "^K.*n$"`:                           true,
		`upper(trim(city)) startsWith "KÖ"`:               true,
		`len(city) == 4`:                                  true,
		`true`:                                            true,
	} {
		f, err := Compile(text, columns)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for range 2 { // the second one with what the first has left
			if got, err := f.Match("Ada@example.org", ada); err != nil || got != want {
				t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
			}
		}
		if _, err := f.Match("b@example.org", nil); err != nil {
			t.Errorf("%s: a row without values: %v", text, err)
		}
	}
}

func TestAFieldMayBeCalledEmail(t *testing.T) {
	t.Parallel()
	f, err := Compile(`email == "private"`, []string{"email"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Match("a@example.org", []string{"private"}); err != nil || !got {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWrongExpressionsAreExplained(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`plna == "pro"`:                    "no field plna; the fields are plan, age, email, domain; did you mean plan? (column 1 of the expression)",
		`plan == "pro" && xyzzy`:           "no field xyzzy",
		`plan ==`:                          "column",
		`age > 30`:                         "write number(FIELD)",
		`30 < age`:                         "write number(FIELD)",
		`plan`:                             "expected bool",
		`number(plan)`:                     "expected bool",
		`plan matches "("`:                 "missing closing )",
		`numbr(age) > 3`:                   "found the function numbr (did you mean number?), expected",
		`plan = "pro"`:                     "write == to compare",
		`now() > 3`:                        "now",
		`all(1..1000000000, # > 0)`:        "found",
		`age in 1..1000000000`:             "found ..",
		`plan matches age`:                 "found a pattern that is no text in quotes",
		`len(plan) % 0 == 1`:               "found %",
		`let x = plan; x == "pro"`:         "found this",
		`plan[3] == "x"`:                   "found this",
		`plan.length > 3`:                  "found this",
		``:                                 "unexpected token",
		strings.Repeat("a", MaxLength+1):   "expected at most 4096",
		strings.Repeat("(", 3000) + "true": "column",
	} {
		_, err := Compile(text, []string{"plan", "age"})
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n|") {
			t.Errorf("%.40s: got %v, want %q in one line", text, err, want)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{`plan == "pro" && number(age) > 3`, `email matches "^a" or plan in ["x"]`, `1..1000000`, `plan ?? 3`, `{"a": 1}`, "#", `plan[1000]`, `plan[0:2] == "pr"`, `let x = plan; x == "pro"`} {
		f.Add(text, "pro", "36")
	}
	f.Fuzz(func(t *testing.T, text, plan, age string) {
		filter, err := Compile(text, []string{"plan", "age"})
		if err != nil {
			return
		}
		if _, err := filter.Match("a@example.org", []string{plan, age}); err != nil {
			t.Errorf("%q failed on a row: %v", text, err)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	filter, err := Compile(`plan == "pro" && city != ""`, []string{"plan", "city", "age"})
	if err != nil {
		b.Fatal(err)
	}
	ada := []string{"pro", "Bonn", "36"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := filter.Match("ada@example.org", ada); err != nil {
			b.Fatal(err)
		}
	}
}
