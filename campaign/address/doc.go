// Package address reads the mail addresses that people put into lists.
//
// What it returns is safe to write into an SMTP envelope and into a header: it
// never contains a control character, and a blank, an angle bracket, a comma or
// a second @ only within the quotes of a quoted local part; reading it again
// gives the same address. It holds to the grammar of RFC 5321 section 4.1.2
// (Local-part @ Domain), with the domain as an A-label (IDNA 2008, UTS 46) and
// UTF-8 in the local part (RFC 6531).
//
// It does not guess: dots and +tags are part of an address, and whether the
// mailbox exists is for the server to say.
//
//	a, err := address.Parse("Ann.Lee@BÜCHER.example")
//	a.String()    // Ann.Lee@xn--bcher-kva.example
//	a.Canonical() // ann.lee@xn--bcher-kva.example
package address
