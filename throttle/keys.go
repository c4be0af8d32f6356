package throttle

// line is the limit of one account or run: KEYS of the slot scripts. Its tag
// names the hash slot, and so the node whose clock its points are in.
type line struct{ tag, slot, holes string }

func (p *Pacer) line(kind, name string) line {
	tag := "{" + kind + ":" + name + "}"
	base := p.prefix + ":" + tag + ":"
	return line{tag: tag, slot: base + "slot", holes: base + "holes"}
}

// guard is the key that makes giving back happen once per id.
func (l line) guard(id string) string { return l.holes + ":" + id }

func accountKey(prefix, account, what string) string {
	return prefix + ":{acct:" + account + "}:" + what
}
