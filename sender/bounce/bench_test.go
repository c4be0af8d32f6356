package bounce

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkDecode decodes and judges the messages of testdata, one after the other.
func BenchmarkDecode(b *testing.B) {
	files, err := filepath.Glob("testdata/x*.eml")
	if err != nil || files == nil {
		b.Fatalf("found %v, %v", files, err)
	}
	var all [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, text)
	}

	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		notices, err := Decode(bytes.NewReader(all[i%len(all)]))
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range notices {
			Judge(nil, n)
		}
	}
}
