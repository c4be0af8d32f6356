package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"broadside/campaign/token"
	"broadside/internal/web"
)

// A page speaks the language of the campaign, else that of the browser, else English.
func TestPagesSpeakTheLanguageOfTheirReader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, campaign, accept, want string
		err                          error
	}{
		{"campaign", "de", "fr", "de", nil},
		{"campaign with a region", "es-MX", "fr", "es", nil},
		{"campaign in English", "en-GB", "fr", "en", nil},
		{"campaign in another language", "pt-BR", "fr-CA,en;q=0.5", "fr", nil},
		{"campaign without one", "", "es;q=0.8, de;q=0.9", "de", nil},
		{"store away", "de", "fr", "fr", errors.New("away")},
		{"browser in another language", "", "ja, ko", "en", nil},
		{"browser without one", "", "", "en", nil},
		{"browser that sends nonsense", "", ";;q=%zz,-", "en", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, web.Config{
				Feedback: applier(func() error { return nil }), Ready: ready,
				Language: func(_ context.Context, run string) (string, error) {
					if run != link.Run {
						t.Errorf("asked for run %q", run)
					}
					return tt.campaign, tt.err
				},
			}, nil)
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.http.URL+token.Path+s.keys.Seal(link), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Language", tt.accept)
			if _, page := exchange(t, req); !strings.Contains(page, `<html lang="`+tt.want+`">`) {
				t.Errorf("want %s:\n%s", tt.want, page)
			}
		})
	}
}
