package launch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/audience"
	"broadside/configs/strictyaml"
	"broadside/internal/launch"
	"broadside/internal/letter"
	"broadside/scheduler"
)

// Recipients who read a sentence with a gap are counted, and one such sentence is shown.
func TestGapsAreCountedAndShown(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.write("people.csv", "email,first_name,city,nick\n"+
		"ann@example.org,Ann,Rome,\nnobody,,,\nbob@example.org,,Oslo,\ncat@example.org,Cat\nbob@example.org,,,\neve@example.org, ,,\n")
	for _, tt := range []struct {
		subject, body string
		want          []string
	}{
		{"Hello", "Good day. Hi {{.first_name}}! How are you?", []string{"first_name is blank for 2 of 4: row 3 reads 'Hi !'"}},
		{"Hello", "How is life in {{.city}}, {{default \"reader\" .first_name}}?", []string{"city is blank for 2 of 4: row 4 reads 'How is life in , Cat?'"}},
		{"{{.city}} news", "Hi", []string{"city is blank for 2 of 4: row 4 reads 'news'"}},
		{"Hello", "Hi {{default .nick .first_name}}!", []string{"first_name and nick are blank for 2 of 4: row 3 reads 'Hi !'"}},
		{"Hello", "{{if .city}}You live in {{.city}}.{{end}} Come to {{.city}} now.", []string{"city is blank for 2 of 4: row 4 reads 'Come to now.'"}},
		{"Hello", "[Here](https://acme.example/{{.nick}})", []string{"nick is blank for 4 of 4: row 1"}},
		{"{{default \"Hello\" .first_name}}, our news", "[Here](https://acme.example/?who={{.first_name}})", []string{"first_name is blank for 2 of 4: row 3"}},
		{
			"Hello", "This sentence is much longer than what is shown of it, and says to everybody in {{.city}} that it is.",
			[]string{"city is blank for 2 of 4: row 4 reads 'h longer than what is shown of it, and says to everybody in that it is.'"},
		},
		{"Hello", "Hi {{default \"reader\" .first_name}}{{if .city}} of {{.city}}{{end}}!", nil},
	} {
		s.write("letter.md", tt.body+"\n")
		def := s.def("")
		def.Subject = tt.subject
		plan, err := s.Launcher.Plan(t.Context(), def, launch.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := letter.Campaign{Config: s.Config, Def: def}.Validate(t.Context(), time.Now(), false)
		if err != nil {
			t.Fatal(err)
		}
		for who, blanks := range map[string][]letter.Gap{"plan": plan.Blanks, "validate": v.Gaps} {
			var got []string
			for _, b := range blanks {
				got = append(got, b.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s of %q (-want +got):\n%s", who, tt.body, diff)
			}
		}
		def.Content.Strict = true
		_, planErr := s.Launcher.Plan(t.Context(), def, launch.Options{})
		_, launchErr := s.Launcher.Launch(t.Context(), def, launch.Options{Confirm: func(launch.Plan) error { return errors.New("asked") }})
		_, validErr := letter.Campaign{Config: s.Config, Def: def}.Validate(t.Context(), time.Now(), false)
		for who, err := range map[string]error{"plan": planErr, "launch": launchErr, "validate": validErr} {
			var problems strictyaml.Problems
			if errors.As(err, &problems) != (tt.want != nil) {
				t.Errorf("strict %s of %q: %v", who, tt.body, err)
			}
		}
	}
}

// Validate shows the rows that will not be mailed: the first ones, or all.
func TestValidateShowsRejectsAndExclusions(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.write("people.csv", "email,first_name\nann@example.org,A\n"+strings.Repeat("nobody,N\n", 30)+"zoe@example.com,Z\n")
	c := letter.Campaign{Config: s.Config, Def: s.def("")}
	v, err := c.Validate(t.Context(), time.Now(), false)
	if err != nil || v.Recipients != 1 || v.Excluded != 1 || v.Invalid != 30 || len(v.Rejects) != scheduler.ShownRejects || len(v.Warnings) != 0 {
		t.Errorf("%+v, %v; want 1 recipient, 1 excluded, 30 invalid, the first %d of them", v, err, scheduler.ShownRejects)
	}

	if diff := cmp.Diff(audience.Reject{Line: 3, Reason: "no @", Value: "nobody"}, v.Rejects[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	c.Config.PostalAddress = ""
	v, err = c.Validate(t.Context(), time.Now(), true)
	if err != nil || len(v.Rejects) != 30 || len(v.Warnings) != 1 {
		t.Errorf("%+v, %v; want 30 rejects and a warning", v, err)
	}

	plan, err := s.Launcher.Plan(t.Context(), s.def(""), launch.Options{})
	if err != nil || len(plan.Rejects) != scheduler.ShownRejects || len(plan.Warnings) != 1 {
		t.Errorf("%+v, %v; want the first %d rejects and a warning of no postal address", plan, err, scheduler.ShownRejects)
	}

	s.write("not.csv", "email\nzoe\n")
	var problems strictyaml.Problems
	if _, err := c.Validate(t.Context(), time.Now(), false); !errors.As(err, &problems) || !strings.Contains(err.Error(), "exclude[0]") {
		t.Errorf("%v, want a problem of exclude", err)
	}
}
