package letter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/sources"
	"broadside/configs"
)

func TestAccountsOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		accounts string // of the configuration
		delivery string // of the campaign
		want     []string
		problem  string
	}{
		{"the only one", "a: marketing", "", []string{"a"}, ""},
		{"the only one for marketing", "a: marketing, b: transactional", "", []string{"a"}, ""},
		{"several", "a: marketing, b: marketing, c: transactional", "", nil, "there are 2 accounts (a, b)"},
		{"transactional alone", "b: transactional", "", nil, "set accounts.b.stream: marketing in"},
		{"transactional, named", "a: marketing, b: transactional", "accounts: [b]", []string{"b"}, ""},
		{"in the order of the file", "a: marketing, b: transactional", "accounts: [{name: b, weight: 0}, A]", []string{"b", "a"}, ""},
		{"not there", "main: marketing", "accounts: [main, {name: mian}]", nil, `c.yaml:7:29: delivery.accounts[1]: no account "mian"; configured are main; did you mean main?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := &configs.Config{Accounts: map[string]configs.Account{}}
			for entry := range strings.SplitSeq(tt.accounts, ", ") {
				name, stream, _ := strings.Cut(entry, ": ")
				cfg.Accounts[name] = configs.Account{Name: name, Stream: stream}
			}
			text := "id: x\ntopic: t\nfrom: a@b.example\nsubject: s\naudience: {source: a.csv}\ncontent: {markdown: a.md}\ndelivery: {" + tt.delivery + "}\n"
			def, err := campaign.Parse("c.yaml", ".", []byte(text))
			if err != nil {
				t.Fatal(err)
			}

			got, err := accountsOf(cfg, def)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
			if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
				t.Errorf("got error %v, want %q", err, tt.problem)
			}
		})
	}
}

// TestWeightsAreInTheSnapshot holds that a run knows the weights of its campaign file.
func TestWeightsAreInTheSnapshot(t *testing.T) {
	t.Parallel()
	cfg := &configs.Config{Accounts: map[string]configs.Account{"a": {Name: "a"}, "b": {Name: "b"}}}
	def := &campaign.Definition{Delivery: campaign.Delivery{Accounts: []string{"a", "b"}, Weights: campaign.Weights{"b": 0}}}
	s, _ := Read(t.Context(), cfg, def, nil, sources.Sources{}) // it has no content, which is reported
	for name, want := range map[string]int{"a": 1, "b": 0} {
		if got := s.Weights.Of(name); got != want {
			t.Errorf("weight of %s: got %d, want %d", name, got, want)
		}
	}
}

// Postmark's webhooks name a message by an id of Postmark's own, unless the message has a
// header whose value they repeat.
func TestTheTokenHeaderIsThatOfTheRelay(t *testing.T) {
	t.Parallel()
	cfg := &configs.Config{Accounts: map[string]configs.Account{"own": {Name: "own"}, "ses": {Name: "ses", Preset: "ses"}, "pm": {Name: "pm", Preset: "postmark"}}}
	for accounts, want := range map[string]string{"own ses": "", "ses pm": "X-PM-Metadata-token"} {
		def := &campaign.Definition{Delivery: campaign.Delivery{Accounts: strings.Fields(accounts)}}
		s, _ := Read(t.Context(), cfg, def, nil, sources.Sources{}) // it has no content, which is reported
		if s.TokenHeader != want {
			t.Errorf("%s: header %q, want %q", accounts, s.TokenHeader, want)
		}
	}
}
