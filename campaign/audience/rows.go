package audience

// FromRows returns a Reader of rows that are at hand in a form of their own.
// columns are its Columns, one of them email. next fills a row, Values in the
// order of columns; its errors are those of Reader.Next.
func FromRows(name string, columns []string, next func(*Row) error) *Reader {
	return &Reader{name: name, columns: columns, dec: rowsFunc(next)}
}

type rowsFunc func(*Row) error

func (f rowsFunc) next(row *Row) error { return f(row) }
