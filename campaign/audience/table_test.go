package audience_test

import (
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/audience"
)

func TestOpenTable(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"Ann@Example.com", "Ann", ""}, {"nobody", "N", "x"}, {"ben@example.com", "Ben", "pro"}}
	closed := 0
	open := func(opts audience.Options, headers ...string) (*audience.Reader, error) {
		n := 0
		return audience.OpenTable(t.Context(), audience.Table{Name: "crm", Headers: headers, Next: func() ([]string, error) {
			if n++; n > len(rows) {
				return nil, io.EOF
			}
			return rows[n-1], nil
		}, Close: func() error { closed++; return nil }}, opts)
	}

	r, err := open(audience.Options{}, "email", "First Name", "plan")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"email", "first_name", "plan"}, r.Columns()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	var row audience.Row
	if err := r.Next(&row); err != nil || row.Line != 1 || row.Address.Canonical() != "ann@example.com" || row.Values[1] != "Ann" {
		t.Errorf("got %+v, %v", row, err)
	}
	var reject *audience.Reject
	if err := r.Next(&row); !errors.As(err, &reject) || reject.Line != 2 || reject.Value != "nobody" {
		t.Errorf("got %v, want a reject", err)
	}
	explained := errors.New("explained")
	r = r.WithErrors(func(error) error { return explained })
	if err := r.Next(&row); err != nil || row.Line != 3 || row.Values[2] != "pro" {
		t.Errorf("got %+v, %v", row, err)
	}
	if err := r.Next(&row); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	if err := r.Close(); err != nil || closed != 1 {
		t.Errorf("Close: %v, closed %d times", err, closed)
	}

	_, err = open(audience.Options{Email: "mail"}, "email", "name", "plan")
	var fault *audience.FileError
	if !errors.As(err, &fault) || fault.File != "crm" || fault.Line != 0 || closed != 2 {
		t.Errorf("got %v, closed %d times; want a fault of crm, closed", err, closed)
	}
}
