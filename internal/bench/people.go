package bench

import (
	"encoding/csv"
	"errors"
	"fmt"
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
func person(n int, domains []string) []string {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	return []string{
		fmt.Sprintf("%s%d@%s", strconv.FormatUint(uint64(r.Uint32()), 36), n, pick(domains)),
		pick(firsts), pick(lasts), pick(companies), fmt.Sprintf("High Street %d", 1+r.IntN(300)), pick(cities), pick(countries),
		pick(plans), strconv.Itoa(2005 + r.IntN(20)), strconv.Itoa(r.IntN(100)), strconv.Itoa(r.IntN(10_000)), fmt.Sprintf("shop %d", r.IntN(40)), fmt.Sprintf("%08X", r.Uint32()),
	}
}

// writePeople writes a list of n people with an address and some fields, as CSV.
func writePeople(file string, n, fields int, domains []string) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	w := csv.NewWriter(f)
	_ = w.Write(columns[:1+fields]) // its error shows at Flush, as all of them do
	for i := range n {
		_ = w.Write(person(i, domains)[:1+fields])
	}
	w.Flush()
	if err := errors.Join(w.Error(), f.Close()); err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	return nil
}
