package token_test

import (
	"fmt"

	"broadside/campaign/token"
)

func ExampleKeys_Seal() {
	keys, err := token.NewKeys([]string{"0123456789abcdef0123456789abcdef"})
	if err != nil {
		fmt.Println(err)
		return
	}

	link := keys.Seal(token.Unsubscribe{Topic: "newsletter", Run: "october-news-20261001T070000Z", Address: "reader@example.com"})
	u, err := keys.Open(link)
	fmt.Println(u.Topic, u.Address, err)
	_, err = keys.Open(link[1:])
	fmt.Println(err)
	// Output:
	// newsletter reader@example.com <nil>
	// token is not valid
}
