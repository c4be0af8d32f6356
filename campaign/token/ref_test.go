package token

// Ref is the reference of a run as ParseMessage returns it.
func Ref(run string) string {
	ref := refOf(run)
	return lower.EncodeToString(ref[:])
}
