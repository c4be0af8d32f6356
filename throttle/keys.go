package throttle

func accountKey(prefix, account, what string) string {
	return prefix + ":{acct:" + account + "}:" + what
}
