package audience

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// A sheetCheck looks through a worksheet before its rows are read. The library that
// reads them takes a damaged sheet for one that ends there and a missing text for a
// blank, and accepts cells in the wrong order. None of that may pass.
type sheetCheck struct {
	ctx   context.Context
	texts int // in the table of texts

	row, col int
	cells    int64 // with the blanks before them
	values   int64 // cells that are not blank
	hidden   int64 // rows that are hidden and have values

	firstHidden int // the first hidden row

	inData    bool // among the rows
	done      bool // behind them
	rowHidden bool
	shared    bool // the cell is the number of a text
	inValue   bool
	value     strings.Builder
}

// checkSheet checks a worksheet, and the texts of its cells.
func (b *workbook) checkSheet(ctx context.Context, s sheetPart) (*sheetCheck, error) {
	if err := b.checkSize(s); err != nil {
		return nil, err
	}

	c := &sheetCheck{ctx: ctx}
	if b.parts[partKey(sharedStringsPart)] != nil {
		err := b.scan(sharedStringsPart, maxUnpacked, nil, func(tok xml.Token) error {
			if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "si" {
				c.texts++
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, b.endedOr(ctx, err)
		}
	}

	if err := b.scan(s.part, maxUnpacked, nil, c.token); err != nil {
		return nil, b.endedOr(ctx, err)
	}

	return c, nil
}

// endedOr returns the error of ctx if that is why a scan ended, or else err.
func (b *workbook) endedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("read %s: %w", b.name, context.Cause(ctx))
	}
	return err
}

func (c *sheetCheck) token(tok xml.Token) error {
	if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "sheetData" {
		if c.inData || c.done {
			return errors.New("its rows occur twice")
		}
		c.inData = true
	}

	if e, ok := tok.(xml.EndElement); ok && e.Name.Local == "sheetData" {
		c.inData = false
		c.done = true
	}

	if !c.inData {
		return nil
	}

	return c.dataToken(tok)
}

func (c *sheetCheck) dataToken(tok xml.Token) error {
	switch e := tok.(type) {
	case xml.StartElement:
		switch e.Name.Local {
		case "row":
			return c.startRow(e)
		case "c":
			return c.startCell(e)
		case "v":
			c.inValue = true
			c.value.Reset()
		case "t": // of a text that stands in its cell
			c.countValue()
		}
	case xml.CharData:
		if c.inValue {
			c.value.Write(e)
		}
	case xml.EndElement:
		if e.Name.Local == "v" {
			return c.endValue()
		}
	}

	return nil
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

func (c *sheetCheck) startRow(e xml.StartElement) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}

	next := c.row + 1
	if text := attr(e, "r"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < next {
			return fmt.Errorf("row %q follows row %d", shown(text), c.row)
		}
		next = n
	}

	if next > maxSheetRows {
		return fmt.Errorf("row %d, there are at most %d", next, maxSheetRows)
	}

	c.row = next
	c.col = 0
	hidden := attr(e, "hidden")
	c.rowHidden = hidden == "1" || hidden == "true"

	return nil
}

func (c *sheetCheck) startCell(e xml.StartElement) error {
	next := c.col + 1
	if text := attr(e, "r"); text != "" {
		col, row, err := excelize.CellNameToCoordinates(text)
		if err != nil || row != c.row || col < next {
			return fmt.Errorf("cell %q follows column %d of row %d", shown(text), c.col, c.row)
		}
		next = col
	}

	if next > maxSheetColumn {
		return fmt.Errorf("row %d has more than %d columns", c.row, maxSheetColumn)
	}

	c.cells += int64(next - c.col)
	if c.cells > maxSheetCells {
		return fmt.Errorf("more than %d cells up to row %d, blanks included", maxSheetCells, c.row)
	}

	c.col = next
	c.shared = attr(e, "t") == "s"

	return nil
}

func (c *sheetCheck) endValue() error {
	c.inValue = false
	if c.value.Len() == 0 {
		return nil
	}

	c.countValue()
	if !c.shared {
		return nil
	}

	n, err := strconv.Atoi(strings.TrimSpace(c.value.String()))
	if err != nil || n < 0 || n >= c.texts {
		return errors.New("row " + strconv.Itoa(c.row) + " has a text that is not in the workbook")
	}

	return nil
}

// countValue counts a cell that is not blank.
func (c *sheetCheck) countValue() {
	c.values++
	if !c.rowHidden {
		return
	}
	c.rowHidden = false // counted
	c.hidden++
	if c.firstHidden == 0 {
		c.firstHidden = c.row
	}
}
