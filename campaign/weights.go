package campaign

// maxWeight is the most that an account may weigh.
const maxWeight = 1000

// Weights say in which proportion recipients go to accounts, by their names. One that is
// not named weighs 1. One that weighs 0 gets recipients only when none of the others can
// send.
type Weights map[string]int

// Of returns the weight of an account.
func (w Weights) Of(account string) int {
	if weight, ok := w[account]; ok {
		return weight
	}
	return 1
}
