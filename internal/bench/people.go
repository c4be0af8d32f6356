package bench

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
)

// columns are the headers of the generated list: an address and twelve fields,
// of which the list has the first ones and the letter uses all that it has.
var columns = []string{
	"email", "first_name", "last_name", "company", "street", "city", "country",
	"plan", "customer_since", "orders", "points", "shop", "code",
}

var (
	firsts    = []string{"Ada", "Grace", "Jürgen", "Zoë", "Łukasz", "Ingrid", "José", "Noor", "Mei", "Sunita", "Tom", "Ólafur"}
	lasts     = []string{"Lovelace", "Hopper", "Müller", "Nowak", "García", "Berg", "O'Brien", "Haddad", "Chen", "Rao", "Smith"}
	companies = []string{"Acme Ltd", "Nordwind GmbH", "Café & Co", "Blue Harbour Books", "Müller & Söhne", "Garden Tools Inc"}
	cities    = []string{"Berlin", "Kraków", "São Paulo", "Oslo", "Reykjavík", "Zürich", "London", "Pune", "Lisbon"}
	countries = []string{"Germany", "Poland", "Brazil", "Norway", "Iceland", "Switzerland", "United Kingdom", "India", "Portugal"}
	plans     = []string{"Starter", "Family", "Business"}
)

// Domains of the list: those of real providers, so that there are several
// parts and lanes, as long as the server is our own sink; else only names that
// can never be delivered to (RFC 2606).
var (
	realDomains = []string{
		"gmail.com", "gmail.com", "gmail.com", "gmail.com", "outlook.com", "outlook.com", "yahoo.com",
		"example.com", "example.net", "example.org",
	}
	safeDomains = []string{"example.com", "example.net", "example.org"}
)

// person returns the fields of row n, in the order of columns. They follow no
// pattern, so that they compress no better than those of real people.
func person(n int, domains []string) []any {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	return []any{
		fmt.Sprintf("%s%d@%s", strconv.FormatUint(uint64(r.Uint32()), 36), n, pick(domains)),
		pick(firsts), pick(lasts), pick(companies), fmt.Sprintf("High Street %d", 1+r.IntN(300)), pick(cities), pick(countries),
		pick(plans), 2005 + r.IntN(20), r.IntN(100), r.IntN(10_000), fmt.Sprintf("shop %d", r.IntN(40)), fmt.Sprintf("%08X", r.Uint32()),
	}
}

// writePeople writes a list of n people with an address and some fields, as CSV.
func writePeople(file string, n, fields int, domains []string) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	printRow := func(values []any) {
		for i, v := range values {
			if i > 0 {
				_ = w.WriteByte(',') // its error shows at Flush
			}
			fmt.Fprint(w, v)
		}
		_, _ = io.WriteString(w, "\n")
	}
	header := make([]any, 1+fields)
	for i := range header {
		header[i] = columns[i]
	}
	printRow(header)
	for i := range n {
		printRow(person(i, domains)[:1+fields])
	}
	err = w.Flush()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	return nil
}
