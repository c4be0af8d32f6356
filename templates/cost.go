package templates

import (
	"bytes"
	"fmt"
	"strings"
)

// The tools that read Markdown, HTML and CSS need time that grows faster than
// the text when one construct is nested or repeated very often. More of it than
// any real letter has is refused before they see it.
const (
	maxQuotes   = 100      // > at the beginning of one line
	maxBrackets = 1000     // [ of links in one paragraph
	maxCells    = 1000     // | in one line
	maxStyling  = 16 << 20 // declarations and rules, multiplied by elements
	maxInlined  = 1 << 29  // bytes of CSS, multiplied by elements
)

// tooDense returns the first place of a Markdown text that would take too long.
func tooDense(s *source) Problems {
	at := 0
	brackets := 0
	for line := range strings.Lines(s.text) {
		if strings.TrimSpace(line) == "" {
			brackets = 0
		}
		brackets += strings.Count(line, "[")
		mark := strings.TrimLeft(line, "> \t")
		for _, c := range []struct {
			n, most int
			what    string
		}{
			{strings.Count(line[:len(line)-len(mark)], ">"), maxQuotes, "nested quotes (>)"},
			{brackets, maxBrackets, "brackets ([) in one paragraph"},
			{strings.Count(line, "|"), maxCells, "cells (|) in one row"},
		} {
			if c.n > c.most {
				return Problems{s.problem(at, fmt.Sprintf("more than %d %s: remove some", c.most, c.what))}
			}
		}

		at += len(line)
	}

	return nil
}

// tooMuchCSS returns an error when inlining the CSS of a page would take too
// long: each rule is tried on each element, and copied to those that it matches.
func tooMuchCSS(page string) error {
	elements := strings.Count(page, "<") - strings.Count(page, "</") - strings.Count(page, "<!--")
	size := 0
	pieces := 0
	for _, m := range styleElement.FindAllStringSubmatchIndex(page, -1) {
		css := []byte(page[m[4]:m[5]])
		size += len(css)
		pieces += bytes.Count(css, []byte("{")) + bytes.Count(css, []byte(";")) + bytes.Count(css, []byte(","))
	}

	if pieces*elements > maxStyling || size*elements > maxInlined {
		return fmt.Errorf("%d bytes of CSS with %d rules and declarations for %d elements are too much to inline: remove what is not used", size, pieces, elements)
	}

	return nil
}
