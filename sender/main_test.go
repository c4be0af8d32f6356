package sender

import (
	"log"
	"testing"

	"go.uber.org/goleak"

	"broadside/campaign/audience"
)

// TestMain packs and unpacks a chunk first: the channels of the compressor are shared by
// all tests, and must not be made in the bubble of one (testing/synctest).
func TestMain(m *testing.M) {
	if _, err := audience.DecodeChunk(audience.EncodeChunk(nil, nil)); err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m)
}
