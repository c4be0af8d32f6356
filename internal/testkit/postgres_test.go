package testkit_test

import (
	"strings"
	"testing"

	"broadside/internal/testkit"
)

func TestPostgresTakesSQL(t *testing.T) {
	t.Parallel()
	p := testkit.Postgres(t, testkit.Certs(t).Valid)
	p.Exec("create table people (email text); insert into people values ('ann@example.com');")
	if !strings.Contains(p.Log(), "insert into people") {
		t.Errorf("the log does not have the statement:\n%s", p.Log())
	}
	p.Stop()
	p.Stop() // once more is no error
}
