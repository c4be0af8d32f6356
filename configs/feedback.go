package configs

import (
	"time"

	"broadside/configs/strictyaml"
)

// Soft says when messages to one address that come back although the address may be in
// use are too many.
type Soft struct {
	SuppressAfter int           // different messages
	Within        time.Duration // the most between the first and the last of them
}

func readSoft(m *strictyaml.Map, s *Soft) {
	const least, most = time.Hour, 365 * 24 * time.Hour
	strictyaml.Int(m, "suppress_after", &s.SuppressAfter, 2, 20, "a number of messages")
	strictyaml.Duration(m, "within", &s.Within, least, most)
}
