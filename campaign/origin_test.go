package campaign_test

import (
	"testing"

	"broadside/campaign"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, o := range []campaign.Origin{{}, {3, 17}, {255, 1<<32 - 1}} {
		if got, err := campaign.ParseOrigin(o.String()); err != nil || got != o {
			t.Errorf("ParseOrigin(%q) = %v, %v", o.String(), got, err)
		}
	}
	for _, bad := range []string{"", ":", "3", "3:", ":17", "256:0", "-1:0", "0:-1", "0:4294967296", "1:2:3", "a:b"} {
		if got, err := campaign.ParseOrigin(bad); err == nil {
			t.Errorf("ParseOrigin(%q) = %v, want an error", bad, got)
		}
	}
}
