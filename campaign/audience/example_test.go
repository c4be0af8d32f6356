package audience_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"broadside/campaign/audience"
)

func ExampleOpen() {
	file := "E-Mail;Vorname\nann@example.com;Ann\nbob@example;Bob\n"
	src := audience.Source{Path: "-", Reader: strings.NewReader(file)}
	opts := audience.Options{Columns: map[string]string{"first_name": "Vorname"}}
	r, err := audience.Open(context.Background(), src, opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	fmt.Println(r.Columns())
	var row audience.Row
	for {
		err := r.Next(&row)
		var reject *audience.Reject
		switch {
		case err == nil:
			fmt.Println(row.Line, row.Address, row.Values)
		case errors.As(err, &reject):
			fmt.Println("refused:", reject)
		case err == io.EOF:
			return
		default:
			fmt.Println(err)
			return
		}
	}
	// Output:
	// [email first_name]
	// 2 ann@example.com [ann@example.com Ann]
	// refused: line 3: no dot in the domain: "bob@example"
}
