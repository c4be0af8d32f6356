package sources

import (
	"broadside/campaign"
	"broadside/campaign/where"
	"broadside/configs/strictyaml"
)

// Filter compiles the expression of a campaign for an audience with these columns; nil
// when the campaign has none.
func Filter(def *campaign.Definition, columns []string) (*where.Filter, error) {
	if def.Audience.Where == "" {
		return nil, nil
	}
	f, err := where.Compile(def.Audience.Where, columns)
	if err != nil {
		return nil, strictyaml.Problems{def.Problem("audience.where", "%v", err)}
	}
	return f, nil
}
