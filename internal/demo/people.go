package demo

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// A kind is what a row of the generated list shows.
type kind int

const (
	plain      kind = iota
	invalid         // no address
	duplicate       // the row before, in other letters
	suppressed      // unsubscribed long ago
	deferOnce       // refused for now, once
	deferTwice      // refused for now, twice
	bounced         // there is no such person
	refused         // the server does not want the message
)

// kindOf returns the kind of row n: of each hundred, 12 are special.
func kindOf(n int) kind {
	switch n % 100 {
	case 13:
		return invalid
	case 14:
		return duplicate
	case 27, 28:
		return suppressed
	case 41, 42, 43:
		return deferOnce
	case 55, 56:
		return deferTwice
	case 69, 70:
		return bounced
	case 83:
		return refused
	}
	return plain
}

type someone struct{ address, first, city string }

var (
	firsts    = []string{"Ada", "Grace", "Jürgen", "Zoë", "Łukasz", "Ingrid", "José", "Noor", "Mei", "Sunita", "Tom", "Ólafur"}
	cities    = []string{"Berlin", "Kraków", "São Paulo", "Oslo", "Reykjavík", "Zürich", "London", "Pune"}
	providers = []string{"gmail.com", "example.org", "outlook.com", "yahoo.com", "example.net", "gmx.de", "icloud.com", "example.com"}
)

// person returns the person in row n. What the sink does with the address is
// in its local part.
func person(n int) someone {
	p := someone{first: firsts[n%len(firsts)], city: cities[n/7%len(cities)]}
	domain := providers[n/3%len(providers)]
	local := map[kind]string{deferOnce: "defer-1x+", deferTwice: "defer-2x+", bounced: "bounce+", refused: "policy+"}[kindOf(n)]
	p.address = fmt.Sprintf("%sreader%d@%s", local, n, domain)
	return p
}

// writeAudience writes the list.
func writeAudience(file string, n int) error {
	var b bytes.Buffer
	b.WriteString("Email,First name,City\n")
	for i := range n {
		p := person(i)
		address := p.address
		switch kindOf(i) {
		case invalid:
			address = fmt.Sprintf("reader%d.example.org", i)
		case duplicate:
			address = strings.ToUpper(person(i - 2).address)
		}
		fmt.Fprintf(&b, "%s,%s,%s\n", address, p.first, p.city)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the demo's list: %w", err)
	}
	return nil
}
