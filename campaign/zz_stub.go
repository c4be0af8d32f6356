package campaign
type Weights map[string]int
func (w Weights) Of(name string) int { return 1 }
