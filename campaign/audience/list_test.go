package audience_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/internal/testkit"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// onEveryStore runs a test on a real Redis and on the embedded store.
func onEveryStore(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient, lists *audience.Lists)) {
	stores := map[string]func(t *testing.T) string{
		"redis":    func(t *testing.T) string { return testkit.Redis(t) },
		"embedded": func(t *testing.T) string { return "redis://" + miniredis.RunT(t).Addr() },
	}
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts, err := redis.ParseURL(start(t))
			if err != nil {
				t.Fatal(err)
			}
			rdb := redis.NewClient(opts)
			t.Cleanup(func() { rdb.Close() })
			test(t, rdb, audience.NewLists(rdb, "test"))
		})
	}
}

func open(t *testing.T, text string) *audience.Reader {
	t.Helper()
	r, err := audience.Open(t.Context(), stdin(text), audience.Options{File: "in.csv"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustImport(t *testing.T, lists *audience.Lists, name string, mode audience.Mode, text string) audience.Imported {
	t.Helper()
	sum, err := lists.Import(t.Context(), name, open(t, text), audience.ImportOptions{Mode: mode})
	if err != nil {
		t.Fatalf("import %s: %v", name, err)
	}
	return sum
}

func export(t *testing.T, lists *audience.Lists, name string) string {
	t.Helper()
	var b bytes.Buffer
	if err := lists.Export(t.Context(), name, &b); err != nil {
		t.Fatalf("export %s: %v", name, err)
	}
	return b.String()
}

func TestImportModes(t *testing.T) {
	t.Parallel()
	const old = "email,first_name,city\nann@x.example,Ann,Berlin\nbob@x.example,Bob,Paris\n"
	const file = "E-Mail,first_name,plan\nBOB@x.example,Robert,pro\neva@x.example,Eva,\nbob@X.example,again,\nnobody,x,\n"
	tests := []struct {
		mode  audience.Mode
		want  audience.Imported
		lines string
	}{
		{
			audience.Merge,
			audience.Imported{Version: 2, Rows: 4, Added: 1, Updated: 1, Invalid: 1, Duplicate: 1, Total: 3},
			"email,first_name,city,plan\nann@x.example,Ann,Berlin,\nBOB@x.example,Robert,Paris,pro\neva@x.example,Eva,,\n",
		},
		{
			audience.Add,
			audience.Imported{Version: 2, Rows: 4, Added: 1, Known: 1, Invalid: 1, Duplicate: 1, Total: 3},
			"email,first_name,city,plan\nann@x.example,Ann,Berlin,\nbob@x.example,Bob,Paris,\neva@x.example,Eva,,\n",
		},
		{
			audience.Replace,
			audience.Imported{Version: 2, Rows: 4, Added: 2, Invalid: 1, Duplicate: 1, Total: 2},
			"email,first_name,plan\nBOB@x.example,Robert,pro\neva@x.example,Eva,\n",
		},
	}
	onEveryStore(t, func(t *testing.T, _ redis.UniversalClient, lists *audience.Lists) {
		for _, tt := range tests {
			name := "people." + string(tt.mode)
			mustImport(t, lists, name, tt.mode, old)

			dry, err := lists.Import(t.Context(), name, open(t, file), audience.ImportOptions{Mode: tt.mode, DryRun: true})
			if err != nil {
				t.Fatal(err)
			}

			wantDry := tt.want
			wantDry.Version = 0
			if diff := cmp.Diff(dry, wantDry); diff != "" {
				t.Errorf("%s, dry run (-got +want):\n%s", tt.mode, diff)
			}
			if got := export(t, lists, name); got != old {
				t.Errorf("%s: a dry run changed the list:\n%s", tt.mode, got)
			}

			var rejects []string
			got, err := lists.Import(t.Context(), name, open(t, file), audience.ImportOptions{Mode: tt.mode, OnReject: func(r *audience.Reject) { rejects = append(rejects, r.Error()) }})
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("%s (-got +want):\n%s", tt.mode, diff)
			}
			if diff := cmp.Diff(export(t, lists, name), tt.lines); diff != "" {
				t.Errorf("%s, list (-got +want):\n%s", tt.mode, diff)
			}
			if diff := cmp.Diff(rejects, []string{`line 5: no @: "nobody"`}); diff != "" {
				t.Errorf("%s, rejects (-got +want):\n%s", tt.mode, diff)
			}
		}

		if _, err := lists.Import(t.Context(), "people", open(t, old), audience.ImportOptions{Mode: "mix"}); err == nil {
			t.Error("an unknown mode was accepted")
		}
	})
}

// Nothing changed: no new version pushes an old one out.
func TestImportOfKnownMakesNoVersion(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, _ redis.UniversalClient, lists *audience.Lists) {
		mustImport(t, lists, "people", audience.Merge, "email\na@x.example\n")
		got := mustImport(t, lists, "people", audience.Add, "email\nA@x.example\n")
		if diff := cmp.Diff(got, audience.Imported{Rows: 1, Known: 1, Total: 1}); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

func TestListIsAnAudience(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient, lists *audience.Lists) {
		file := string(people(20_500))
		if sum := mustImport(t, lists, "people", audience.Replace, file); sum.Total != 20_500 {
			t.Fatalf("got %+v", sum)
		}

		r, err := lists.Open(t.Context(), "people", audience.Options{Columns: map[string]string{"name": "First_Name"}})
		if err != nil {
			t.Fatal(err)
		}

		got, err := drain(r)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(got.Columns, []string{"email", "name", "city"}); diff != "" {
			t.Errorf("columns (-got +want):\n%s", diff)
		}

		var want []string
		for i, row := range rowsOf(t, file) {
			want = append(want, fmt.Sprintf("%d %s", i+1, strings.Join(row.Values, "|")))
		}

		if !slices.Equal(got.Rows, want) {
			t.Errorf("%d rows read are not the %d imported", len(got.Rows), len(want))
		}

		// Every chunk was committed for good.
		keys, err := rdb.Keys(t.Context(), "test:list:{people}:data:*").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("chunk keys %v, %v; want one", keys, err)
		}

		if ttl := rdb.TTL(t.Context(), keys[0]).Val(); ttl != -1 {
			t.Errorf("chunks expire in %v", ttl)
		}
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient, lists *audience.Lists) {
		ctx := t.Context()
		for i := 1; i <= 4; i++ {
			mustImport(t, lists, "people", audience.Replace, fmt.Sprintf("email\nv%d@x.example\n", i))
		}

		numbers := func() []int {
			l, err := lists.Show(ctx, "people")
			if err != nil {
				t.Fatal(err)
			}
			var n []int
			for _, v := range l.Versions {
				n = append(n, v.N)
			}
			return n
		}
		if diff := cmp.Diff(numbers(), []int{4, 3, 2}); diff != "" {
			t.Fatalf("kept versions (-got +want):\n%s", diff)
		}

		v, err := lists.Restore(ctx, "people", 2)
		if err != nil || v.N != 5 || v.Count != 1 || v.From != "people@2" {
			t.Fatalf("restore: %+v, %v", v, err)
		}

		if got := export(t, lists, "people"); got != "email\nv2@x.example\n" {
			t.Errorf("restored list:\n%s", got)
		}

		// Version 2 falls off the end; its chunks are those of 5, and stay.
		mustImport(t, lists, "people", audience.Add, "email\nnew@x.example\n")
		mustImport(t, lists, "people", audience.Add, "email\nnewer@x.example\n")
		if _, err := lists.Restore(ctx, "people", 5); err != nil {
			t.Fatal(err)
		}
		if got := export(t, lists, "people"); got != "email\nv2@x.example\n" {
			t.Errorf("list restored twice:\n%s", got)
		}

		var file *audience.FileError
		if _, err := lists.Restore(ctx, "people", 1); !errors.As(err, &file) || !strings.Contains(file.Fix, "kept are 8, 7, 6") {
			t.Errorf("restore a version that is gone: %v", err)
		}

		// No chunks are left behind by what fell off.
		keys, err := rdb.Keys(ctx, "test:list:{people}:data:*").Result()
		if err != nil || len(keys) != 3 {
			t.Errorf("chunk keys %v, %v; want three", keys, err)
		}
	})
}

func TestLsShowRm(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient, lists *audience.Lists) {
		ctx := t.Context()
		if got, err := lists.Ls(ctx); err != nil || len(got) != 0 {
			t.Fatalf("no lists: %v, %v", got, err)
		}

		start := time.Now().Add(-time.Second)
		mustImport(t, lists, "staff", audience.Merge, "email,name\na@x.example,Ann\n")
		mustImport(t, lists, "all", audience.Merge, "email\na@x.example\nb@x.example\n")
		got, err := lists.Ls(ctx)
		if err != nil || len(got) != 2 || got[0].Name != "all" || got[0].Count != 2 || got[1].Name != "staff" {
			t.Fatalf("got %+v, %v", got, err)
		}

		staff, err := lists.Show(ctx, "staff")
		if err != nil || staff.Count != 1 || !slices.Equal(staff.Columns, []string{"email", "name"}) || staff.Updated.Before(start) || staff.Versions[0].From != "in.csv" || staff.Versions[0].Change != "merge" {
			t.Errorf("got %+v, %v", staff, err)
		}

		if err := lists.Rm(ctx, "staff"); err != nil {
			t.Fatal(err)
		}

		for name, err := range map[string]error{
			"show": second(lists.Show(ctx, "staff")), "rm": lists.Rm(ctx, "staff"), "export": lists.Export(ctx, "staff", &bytes.Buffer{}),
			"open": second(lists.Open(ctx, "staff", audience.Options{})), "restore": second(lists.Restore(ctx, "staff", 1)), "remove": second(lists.Remove(ctx, "staff")),
		} {
			if !errors.Is(err, audience.ErrNoList) || !strings.Contains(err.Error(), "list:staff: no such list; ") {
				t.Errorf("%s of a list that is gone: %v", name, err)
			}
		}

		if err := second(lists.Show(ctx, "al")); err == nil || !strings.Contains(err.Error(), "did you mean list:all?") {
			t.Errorf("misspelt: %v", err)
		}
		if keys := rdb.Keys(ctx, "test:list:{staff}*").Val(); len(keys) != 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestListNames(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { rdb.Close() })
	lists := audience.NewLists(rdb, "test")
	for _, name := range []string{"", "A", "-a", "a b", "a}", strings.Repeat("a", 65), "a/b", "ä"} {
		var file *audience.FileError
		if err := lists.Rm(t.Context(), name); !errors.As(err, &file) || !strings.Contains(file.What, "not a name for a list") {
			t.Errorf("%q: %v", name, err)
		}
	}

	for source, want := range map[string]string{"list:a": "a", "list:": "", "a.csv": "-"} {
		got, ok := audience.ListName(source)
		if !ok {
			got = "-"
		}
		if got != want && !(want == "-" && !ok) {
			t.Errorf("ListName(%q) = %q", source, got)
		}
	}
}

func TestAddRemove(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, _ redis.UniversalClient, lists *audience.Lists) {
		ctx := t.Context()
		var people []address.Address
		for _, s := range []string{"ann@x.example", "bob@x.example", "Eva@x.example"} {
			a, err := address.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			people = append(people, a)
		}

		if sum, err := lists.Add(ctx, "staff", people[:2]...); err != nil || sum.Added != 2 || sum.Version != 1 {
			t.Fatalf("add: %+v, %v", sum, err)
		}

		mustImport(t, lists, "staff", audience.Merge, "email,city\nbob@x.example,Paris\n")
		if sum, err := lists.Add(ctx, "staff", people...); err != nil || sum.Added != 1 || sum.Known != 2 {
			t.Fatalf("add again: %+v, %v", sum, err)
		}
		if n, err := lists.Remove(ctx, "staff", people[0]); err != nil || n != 1 {
			t.Fatalf("remove: %d, %v", n, err)
		}
		if got := export(t, lists, "staff"); got != "email,city\nbob@x.example,Paris\nEva@x.example,\n" {
			t.Errorf("list:\n%s", got)
		}
		if n, err := lists.Remove(ctx, "staff", people[0]); err != nil || n != 0 {
			t.Errorf("remove again: %d, %v", n, err)
		}
		if n, err := lists.Remove(ctx, "staff", people...); err != nil || n != 2 {
			t.Errorf("remove all: %d, %v", n, err)
		}
		if got := export(t, lists, "staff"); got != "email,city\n" {
			t.Errorf("empty list:\n%s", got)
		}

		var file *audience.FileError
		if _, err := lists.Open(ctx, "staff", audience.Options{}); !errors.As(err, &file) || !strings.Contains(file.What, "the list is empty") {
			t.Errorf("open an empty list: %v", err)
		}
		if sum := mustImport(t, lists, "staff", audience.Merge, "email\na@x.example\n"); sum.Total != 1 {
			t.Errorf("import into an empty list: %+v", sum)
		}
	})
}

// A file with a fault leaves the list as it was, and nothing behind.
func TestFailedImportChangesNothing(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient, lists *audience.Lists) {
		mustImport(t, lists, "people", audience.Merge, "email\na@x.example\n")
		for _, mode := range []audience.Mode{audience.Replace, audience.Merge} {
			bad := "email\n" + manyAddresses(40_000) + "\x00\n"
			_, err := lists.Import(t.Context(), "people", open(t, bad), audience.ImportOptions{Mode: mode})
			var file *audience.FileError
			if !errors.As(err, &file) || file.Line != 40_002 {
				t.Fatalf("%s: got %v, want a NUL in line 40002", mode, err)
			}
		}

		if got := export(t, lists, "people"); got != "email\na@x.example\n" {
			t.Errorf("list:\n%s", got)
		}
		if keys := rdb.Keys(t.Context(), "test:list:{people}:data:*").Val(); len(keys) != 1 {
			t.Errorf("chunk keys %v, want one", keys)
		}
	})
}

func manyAddresses(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "p%d@x.example\n", i)
	}
	return b.String()
}

// Of two merges at the same time one must fail rather than undo the other.
func TestConcurrentMerges(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, _ redis.UniversalClient, lists *audience.Lists) {
		mustImport(t, lists, "people", audience.Merge, "email\na@x.example\n")
		between := open(t, "email\nb@x.example\nnobody\n")
		_, err := lists.Import(t.Context(), "people", between, audience.ImportOptions{OnReject: func(*audience.Reject) {
			mustImport(t, lists, "people", audience.Merge, "email\nc@x.example\n")
		}})
		if !errors.Is(err, audience.ErrChanged) {
			t.Errorf("got %v, want ErrChanged", err)
		}

		if got := export(t, lists, "people"); got != "email\na@x.example\nc@x.example\n" {
			t.Errorf("list:\n%s", got)
		}
	})
}

// An unreachable Redis is not the file's fault.
func TestListsWithoutRedis(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", testkit.Port(t)), MaxRetries: -1})
	t.Cleanup(func() { rdb.Close() })
	lists := audience.NewLists(rdb, "test")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := lists.Import(ctx, "people", open(t, "email\na@x.example\n"), audience.ImportOptions{Mode: audience.Replace})
	var file *audience.FileError
	if err == nil || errors.As(err, &file) || !strings.Contains(err.Error(), "list people") {
		t.Errorf("got %v", err)
	}
}

// A damaged or missing chunk ends the reading; it is never passed over.
func TestDamagedList(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient, lists *audience.Lists) {
		ctx := t.Context()
		mustImport(t, lists, "people", audience.Replace, string(people(3000)))
		key := rdb.Keys(ctx, "test:list:{people}:data:*").Val()[0]
		good := rdb.HGet(ctx, key, "1").Val()
		fewer := string(audience.EncodeChunk(nil, rowsOf(t, string(people(5)))))
		for name, chunk := range map[string]string{"broken": good[:len(good)/2], "fewer rows": fewer, "other columns": string(audience.EncodeChunk(nil, rowsOf(t, "email\na@x.example\n")))} {
			rdb.HSet(ctx, key, "1", chunk)
			if err := lists.Export(ctx, "people", &bytes.Buffer{}); err == nil {
				t.Errorf("%s: exported without an error", name)
			}
		}

		rdb.HDel(ctx, key, "1")
		if err := lists.Export(ctx, "people", &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "is gone") {
			t.Errorf("missing chunk: %v", err)
		}
	})
}

// One list that cannot be read hides no other, and can be removed.
func TestBrokenListIsNamed(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient, lists *audience.Lists) {
		ctx := t.Context()
		for _, name := range []string{"a", "b", "c"} {
			mustImport(t, lists, name, audience.Replace, string(people(3)))
		}

		versions := func(name string) string { return rdb.Keys(ctx, "test:list:{"+name+"}:versions*").Val()[0] }
		wrongType := versions("a")
		undecodable := versions("b")
		for _, err := range []error{
			rdb.Del(ctx, wrongType).Err(), rdb.Set(ctx, wrongType, "text", 0).Err(),
			rdb.HSet(ctx, undecodable, "1", "{").Err(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}

		all, err := lists.Ls(ctx)
		if err != nil || len(all) != 3 {
			t.Fatalf("got %+v, %v, want three lists", all, err)
		}

		for i, key := range []string{wrongType, undecodable} {
			if !strings.Contains(all[i].Broken, "BS-BROKEN-STATE") || !strings.Contains(all[i].Broken, key) {
				t.Errorf("list %s: broken is %q, want the key %s", all[i].Name, all[i].Broken, key)
			}
			if err := lists.Rm(ctx, all[i].Name); err != nil {
				t.Errorf("rm %s: %v", all[i].Name, err)
			}
		}

		if all[2].Broken != "" || all[2].Count != 3 {
			t.Errorf("got %+v, want a whole list", all[2])
		}
		if left, err := lists.Ls(ctx); err != nil || len(left) != 1 {
			t.Errorf("after rm: %+v, %v, want one list", left, err)
		}
	})
}
