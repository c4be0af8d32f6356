package suppression_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/internal/testkit"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// Each format as its service documents it.
func TestImportFormat(t *testing.T) {
	t.Parallel()
	type entry struct{ address, reason, at string }
	for _, tt := range []struct {
		name, service, file string
		want                []entry
		rejects             []suppression.Reject
		notes               int
	}{
		{
			name: "SES", service: "ses", file: `{"SuppressedDestinationSummaries": [
				{"EmailAddress": "Ada@example.org", "Reason": "BOUNCE", "LastUpdateTime": "2020-04-10T21:03:05-07:00"},
				{"EmailAddress": "bob@example.org", "Reason": "COMPLAINT", "LastUpdateTime": 1586577785.5},
				{"EmailAddress": "cat@example.org", "Reason": "OTHER", "LastUpdateTime": "today"},
				{"EmailAddress": "nobody", "Reason": "BOUNCE"},
				{"Reason": "BOUNCE"}
			], "NextToken": "a@b.example"}`,
			want: []entry{
				{"ada@example.org", "bounce", "2020-04-11T04:03:05Z"},
				{"bob@example.org", "complaint", "2020-04-11T04:03:05.5Z"},
				{"cat@example.org", "imported", ""},
			},
			rejects: []suppression.Reject{
				{Line: 5, Reason: `no address in the field "emailaddress"`, Value: `"{\"emailaddress\":\"nobody\",\"reason\":\"BOUNCE\"}"`},
				{Line: 6, Reason: `no address in the field "emailaddress"`, Value: `"{\"reason\":\"BOUNCE\"}"`},
			},
			notes: 2,
		},
		{
			name: "Postmark", service: "postmark", file: `{"Suppressions":[
				{"EmailAddress":"ada@example.org","SuppressionReason":"ManualSuppression","Origin":"Recipient","CreatedAt":"2019-12-17T08:58:33-05:00"},
				{"EmailAddress":"bob@example.org","SuppressionReason":"HardBounce","Origin":"Recipient","CreatedAt":"2019-12-17T08:58:33-05:00"},
				{"EmailAddress":"cat@example.org","SuppressionReason":"SpamComplaint","Origin":"Recipient","CreatedAt":"2019-12-17T08:58:33-05:00"},
				{"EmailAddress":"dan@example.org","SuppressionReason":"ManualSuppression","Origin":"Customer","CreatedAt":"2019-12-17T08:58:33-05:00"}]}`,
			want: []entry{
				{"ada@example.org", "unsubscribe", "2019-12-17T13:58:33Z"},
				{"bob@example.org", "bounce", "2019-12-17T13:58:33Z"},
				{"cat@example.org", "complaint", "2019-12-17T13:58:33Z"},
				{"dan@example.org", "manual", "2019-12-17T13:58:33Z"},
			},
		},
		{
			name: "Mailgun, three documents one after another", service: "mailgun", file: `{"items":[{"address":"ada@example.org","code":"550","error":"No such mailbox","created_at":"Fri, 21 Oct 2011 11:02:55 UTC"}],"paging":{"next":"https://x.example/a@b.example"}}
				{"items":[{"address":"bob@example.org","tags":["*"],"created_at":"Fri, 21 Oct 2011 11:02:55 GMT"}]}
				{"items":[{"address":"cat@example.org","created_at":"Fri, 21 Oct 2011 11:02:55 UTC"}]}`,
			want: []entry{
				{"ada@example.org", "bounce", "2011-10-21T11:02:55Z"},
				{"bob@example.org", "unsubscribe", "2011-10-21T11:02:55Z"},
				{"cat@example.org", "complaint", "2011-10-21T11:02:55Z"},
			},
		},
		{
			name: "Mailgun CSV", service: "mailgun", file: "address,code,error,created_at\nada@example.org,550,\"no, never\",\"Fri, 21 Oct 2011 11:02:55 UTC\"\nnobody,550,,\n",
			want:    []entry{{"ada@example.org", "bounce", "2011-10-21T11:02:55Z"}},
			rejects: []suppression.Reject{{Line: 3, Reason: `no address in the field "address"`, Value: `"nobody,550,,"`}},
		},
		{
			name: "SendGrid bounces and a block", service: "sendgrid", file: "status,reason,email,created\n5.1.1,\"550 5.1.1 <ada@example.org> is unknown\",ada@example.org,1443651125\n4.0.0,no route to host,bob@example.org,1443651154\n",
			want: []entry{{"ada@example.org", "bounce", "2015-09-30T22:12:05Z"}},
			rejects: []suppression.Reject{{
				Line: 3, Reason: "a block is no suppression: the server refused the message, for its content or its sender, and the address may be good",
				Value: `"4.0.0,no route to host,bob@example.org,1443651154"`,
			}},
		},
		{
			name: "SendGrid spam reports of the API", service: "sendgrid", file: `[{"created":1443651141,"email":"ada@example.org","ip":"10.63.202.100"}]`,
			want: []entry{{"ada@example.org", "complaint", "2015-09-30T22:12:21Z"}},
		},
		{
			name: "SendGrid unsubscribes", service: "sendgrid", file: "email,created\nada@example.org,1443651141\n",
			want: []entry{{"ada@example.org", "unsubscribe", "2015-09-30T22:12:21Z"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
			now := time.Now().UTC()
			suppression.SetClock(s, func() time.Time { return now })
			got, err := s.ImportFormat(t.Context(), tt.service, strings.NewReader(tt.file), audience.Options{File: "list"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.rejects, append([]suppression.Reject(nil), got.Rejects...)); diff != "" {
				t.Errorf("rejects (-want +got):\n%s", diff)
			}
			if got.Added != len(tt.want) || got.Rows != len(tt.want)+len(tt.rejects) || len(got.Notes) != tt.notes {
				t.Errorf("got %+v, want %d added, %d notes", got, len(tt.want), tt.notes)
			}

			for _, want := range tt.want {
				results, err := s.Check(t.Context(), want.address)
				if err != nil {
					t.Fatal(err)
				}
				e := results[0].Entry
				at := now.Truncate(time.Millisecond)
				if want.at != "" {
					at, _ = time.Parse(time.RFC3339, want.at)
				}
				if e.Reason != want.reason || !e.At.Equal(at) || e.Scope != suppression.All || e.Source != "import "+tt.service {
					t.Errorf("%s: got %+v, want %s at %s", want.address, e, want.reason, at)
				}
			}
		})
	}
}

// A file of another form is refused as a whole, and named.
func TestImportFormatRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	s := suppression.New(client(t, "redis://"+miniredis.RunT(t).Addr()), "bs", withoutFlags)
	for name, file := range map[string]string{
		"no such column":  "name,town\nAda,London\n",
		"broken JSON":     `{"SuppressedDestinationSummaries": [{"EmailAddress": "ada@example.org"`,
		"nested too deep": strings.Repeat("[", 100),
		"a huge record":   `[{"EmailAddress": "` + strings.Repeat("x", 16<<20) + `"}]`,
	} {
		_, err := s.ImportFormat(t.Context(), "ses", strings.NewReader(file), audience.Options{File: "list.json"})
		var problem *audience.FileError
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), "list.json") {
			t.Errorf("%s: got %v, want a FileError that names the file", name, err)
		}
	}
}

// What strangers call an export never panics, and no one is added who is not in it.
func FuzzImportFormat(f *testing.F) {
	f.Add("ses", `{"a":[{"EmailAddress":"ada@example.org","Reason":"BOUNCE"}]}`)
	f.Add("sendgrid", "email,created\nada@example.org,1443651141\n")
	f.Add("mailgun", `{"":{"":[""]}}{"address":"a@b.example"}`)
	s := suppression.New(client(f, "redis://"+miniredis.RunT(f).Addr()), "bs", withoutFlags)
	f.Fuzz(func(t *testing.T, service, file string) {
		got, err := s.ImportFormat(t.Context(), service, strings.NewReader(file), audience.Options{File: "list"})
		if err == nil && got.Added+got.Known > strings.Count(file, "@")*8+strings.Count(file, "40")*8 {
			t.Errorf("%d entries of %q", got.Added+got.Known, file)
		}
	})
}

// Domains in the general form, and in what export writes.
func TestImportOfDomains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		want, not  []string
		rejects    int
	}{
		{"a row of a list", "ada@x.example\n*@A.example\n", []string{"*@a.example", "ada@x.example"}, nil, 0},
		{"the column of addresses", "address,reason\n*@a.example,left\n", []string{"*@a.example"}, nil, 0},
		{"a column of domains", "domain,reason\na.example,left\nnot a domain,\n", []string{"*@a.example"}, nil, 1},
		{"a column of domains next to addresses", "email,domain\nada@gmail.com,gmail.com\n", []string{"ada@gmail.com"}, []string{"*@gmail.com"}, 0},
		{"a bare domain elsewhere", "email\na.example\n", nil, []string{"*@a.example"}, 1},
		{"a star within an address", "email\nb*@a.example\n", []string{"b*@a.example"}, []string{"*@a.example"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := suppression.New(client(t, "redis://"+miniredis.RunT(t).Addr()), "bs", withoutFlags)
			got, err := s.Import(t.Context(), open(t, strings.NewReader(tt.file)))
			if err != nil || len(got.Rejects) != tt.rejects || len(got.Ignored) != 0 {
				t.Fatalf("Import: %+v, %v; want %d rejects", got, err, tt.rejects)
			}
			for suppressed, texts := range map[bool][]string{true: tt.want, false: tt.not} {
				for _, text := range texts {
					results, err := s.Check(t.Context(), text)
					if err != nil || results[0].Suppressed != suppressed {
						t.Errorf("%s: got %+v, %v, want %t", text, results, err, suppressed)
					}
				}
			}
		})
	}
}

// A hashed export has no address, and what reads it keeps the same people out.
func TestHashedExport(t *testing.T) {
	t.Parallel()
	from := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
	to := suppression.New(client(t, testkit.Redis(t)), "bs", redis.NewScript)
	add(t, from, 3, suppression.Entry{Address: "ada@x.example", Reason: "bounce"}, suppression.Entry{Domain: "a.example"},
		suppression.Entry{Address: "zoe@x.example", Scope: suppression.Topic("news")})
	for _, hashed := range []bool{true, false} {
		var out bytes.Buffer
		if n, err := from.Export(t.Context(), &out, hashed); err != nil || n != 3 {
			t.Fatalf("Export: %d, %v", n, err)
		}
		if strings.Contains(out.String(), "@") == hashed {
			t.Errorf("hashed %t: got\n%s", hashed, out.String())
		}

		got, err := to.Import(t.Context(), open(t, &out))
		if err != nil || got.Rows != 3 || len(got.Rejects)+len(got.Notes)+len(got.Ignored) != 0 {
			t.Errorf("Import: %+v, %v", got, err)
		}
		for _, who := range []string{"ada@x.example", "zoe@x.example", "ben@a.example"} {
			if !suppressed(t, to, who, "news") {
				t.Errorf("hashed %t: %s is not suppressed", hashed, who)
			}
		}
		if suppressed(t, to, "zoe@x.example", "offers") || suppressed(t, to, "ben@x.example", "news") {
			t.Error("somebody is suppressed who was not")
		}
	}
}
