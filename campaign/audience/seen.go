package audience

// Seen finds duplicates among any number of addresses by their hashes, in
// about 30 bytes each. Half of a SHA-256 is enough to tell any two people apart.
// The zero value is empty and ready.
type Seen struct{ m map[[16]byte]struct{} }

// Add adds the hash of an address (address.Address.Hash) and reports whether
// it is new.
func (s *Seen) Add(hash [32]byte) bool {
	if s.m == nil {
		s.m = make(map[[16]byte]struct{})
	}
	n := len(s.m)
	s.m[[16]byte(hash[:16])] = struct{}{}
	return len(s.m) > n
}

// Has reports whether the hash has been added.
func (s *Seen) Has(hash [32]byte) bool {
	_, ok := s.m[[16]byte(hash[:16])]
	return ok
}

// Len returns how many different hashes were added.
func (s *Seen) Len() int { return len(s.m) }
