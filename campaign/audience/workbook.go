package audience

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits of an .xlsx workbook, which is a zip archive of XML files (its parts).
const (
	maxWorkbook    = 128 << 20 // bytes of the file: it is read into memory
	maxUnpacked    = 512 << 20 // bytes of the parts that are read
	freeUnpacked   = 64 << 20  // bytes that any workbook may have; then maxRatio counts
	maxSmallPart   = 16 << 20  // bytes of a part that is neither a sheet nor the texts of the cells
	maxSheetRows   = 1 << 20   // as Excel has it
	maxSheetCells  = 100 << 20 // blanks before the last cell of a row included
	maxSheetColumn = 16384     // as Excel has it
	maxXMLDepth    = 64
	maxXMLToken    = 1 << 20 // bytes from one tag to the next
)

const sharedStringsPart = "xl/sharedStrings.xml"

// A workbook is an .xlsx file in memory.
type workbook struct {
	*stream
	size   int64
	parts  map[string]*zip.File // by lower-case path
	sheets []sheetPart
}

// A sheetPart is a worksheet of a workbook.
type sheetPart struct {
	name   string // as the person sees it
	part   string
	hidden bool
}

// damaged is the error for a part that breaks the format.
func (b *workbook) damaged(part string, err error) *FileError {
	if file, ok := errors.AsType[*FileError](err); ok {
		return file
	}
	return &FileError{File: b.name, What: fmt.Sprintf("a damaged workbook: %s: %v", part, err), Fix: "open it in a spreadsheet program and save it again, preferably as CSV", Err: err}
}

// openWorkbook reads the directory of an archive, and which sheets there are.
func openWorkbook(s *stream, data []byte) (*workbook, error) {
	b := &workbook{stream: s, size: int64(len(data)), parts: map[string]*zip.File{}}
	z, err := zip.NewReader(bytes.NewReader(data), b.size)
	if err != nil {
		return nil, b.damaged("the zip archive", err)
	}

	for _, f := range z.File {
		key := partKey(f.Name)
		if _, twice := b.parts[key]; twice {
			return nil, b.damaged(f.Name, errors.New("it is there twice"))
		}
		b.parts[key] = f
	}

	if b.parts["xl/workbook.xml"] == nil {
		return nil, b.errorf("save a spreadsheet as .xlsx or CSV, unpack an archive", "a zip archive that is not an .xlsx workbook")
	}

	return b, b.readSheets()
}

func partKey(name string) string {
	return strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(name, `\`, "/")), "/")
}

// readSheets reads the names and parts of the worksheets.
func (b *workbook) readSheets() error {
	var book struct {
		Sheets []struct {
			Name  string     `xml:"name,attr"`
			State string     `xml:"state,attr"`
			Attrs []xml.Attr `xml:",any,attr"` // r:id, in whatever name space
		} `xml:"sheets>sheet"`
	}
	var links struct {
		Links []struct {
			ID     string `xml:"Id,attr"`
			Type   string `xml:"Type,attr"`
			Target string `xml:"Target,attr"`
		} `xml:"Relationship"`
	}
	if err := b.decodePart("xl/workbook.xml", &book); err != nil {
		return err
	}
	if err := b.decodePart("xl/_rels/workbook.xml.rels", &links); err != nil {
		return err
	}

	targets := map[string]string{}
	for _, l := range links.Links {
		if strings.HasSuffix(l.Type, "/worksheet") {
			targets[l.ID] = l.Target
		}
	}

	for _, s := range book.Sheets {
		for _, a := range s.Attrs {
			target, ok := targets[a.Value]
			if a.Name.Local != "id" || !ok {
				continue // a sheet of charts
			}
			b.sheets = append(b.sheets, sheetPart{s.Name, partOf(target), s.State != "" && s.State != "visible"})
		}
	}

	return nil
}

// partOf returns the path of a part that xl/workbook.xml names.
func partOf(target string) string {
	if strings.HasPrefix(target, "/") {
		return strings.TrimPrefix(path.Clean(target), "/")
	}
	return path.Join("xl", target)
}

func (b *workbook) decodePart(part string, into any) error {
	var text bytes.Buffer
	if err := b.scan(part, maxSmallPart, &text, nil); err != nil {
		return err
	}
	if err := xml.Unmarshal(text.Bytes(), into); err != nil {
		return b.damaged(part, err)
	}
	return nil
}

// sheet returns the worksheet of that name, or without a name the first one that is not
// hidden.
func (b *workbook) sheet(name string) (sheetPart, error) {
	var names []string
	for _, s := range b.sheets {
		if name != "" && strings.EqualFold(s.name, name) || name == "" && !s.hidden {
			return s, nil
		}
		names = append(names, s.name)
	}

	switch {
	case len(names) == 0:
		return sheetPart{}, b.errorf("save the rows as CSV", "a workbook without a worksheet")
	case name == "":
		return sheetPart{}, b.errorf("name one with sheet: NAME", "all worksheets are hidden: %s", quoteAll(names))
	}

	return sheetPart{}, b.errorf("", "no worksheet %q; there are %s", name, quoteAll(names))
}

// checkSize refuses a worksheet that would become too large. It trusts the sizes in the
// directory, because reading holds every part to them.
func (b *workbook) checkSize(s sheetPart) error {
	var total uint64
	for _, part := range []string{s.part, sharedStringsPart} {
		if f := b.parts[partKey(part)]; f != nil {
			total += f.UncompressedSize64
		}
	}

	if total > maxUnpacked || total > freeUnpacked && total/maxRatio > uint64(b.size) {
		return b.errorf("save the worksheet as CSV", "%d bytes of a workbook would become %d MiB, at most %d MiB are read, and %d times its size", b.size, total>>20, maxUnpacked>>20, maxRatio)
	}

	return nil
}

// scan reads a part to its end, so that its checksum is known to be right, and its
// XML well-formed. each is called for every token; nil: for none.
func (b *workbook) scan(part string, limit int64, copyTo io.Writer, each func(xml.Token) error) error {
	f := b.parts[partKey(part)]
	if f == nil {
		return b.damaged(part, errors.New("it is missing"))
	}

	if f.UncompressedSize64 > uint64(limit) {
		return b.errorf("save the worksheet as CSV", "%s has %d MiB, at most %d MiB are read", part, f.UncompressedSize64>>20, limit>>20)
	}

	r, err := f.Open()
	if err != nil {
		return b.damaged(part, err)
	}
	defer r.Close() //nolint:errcheck // only read
	var text io.Reader = &shortTokens{r: io.LimitReader(r, limit+1)}
	if copyTo != nil {
		text = io.TeeReader(text, copyTo)
	}
	if err := scanXML(text, each); err != nil {
		return b.damaged(part, err)
	}
	if _, err := io.Copy(io.Discard, text); err != nil {
		return b.damaged(part, err)
	}

	return nil
}

// scanXML reads a document of XML.
func scanXML(r io.Reader, each func(xml.Token) error) error {
	d := xml.NewDecoder(r)
	depth := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch tok.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errors.New("it has a document type, as no workbook does")
		}

		if depth > maxXMLDepth {
			return fmt.Errorf("more than %d nested elements", maxXMLDepth)
		}
		if each == nil {
			continue
		}
		if err := each(tok); err != nil {
			return err
		}
	}
}

// shortTokens ends the reading of XML at a text or tag of too many bytes, before a
// decoder has it in memory.
type shortTokens struct {
	r   io.Reader
	run int // bytes since the last tag began
}

func (s *shortTokens) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for rest := p[:n]; ; {
		i := bytes.IndexByte(rest, '<')
		if i < 0 {
			s.run += len(rest)
			break
		}
		if s.run+i > maxXMLToken {
			s.run += i
			break
		}
		s.run = 0
		rest = rest[i+1:]
	}

	if s.run > maxXMLToken {
		return 0, errors.New("a text or tag of more than 1 MiB")
	}

	return n, err
}

// smallPart reports whether a part is read in addition to the sheet. Pictures, charts
// and properties are not.
func smallPart(key string) bool {
	if !strings.HasSuffix(key, ".xml") && !strings.HasSuffix(key, ".rels") {
		return false
	}
	dir := path.Dir(key)
	return dir == "." || dir == "_rels" || dir == "xl" || dir == "xl/_rels" || dir == "xl/theme"
}

// only returns an archive that contains nothing but what is needed to read a sheet. All
// its parts have been checked.
func (b *workbook) only(s sheetPart) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for key, f := range b.parts {
		switch {
		case key == partKey(s.part), key == partKey(sharedStringsPart):
		case !smallPart(key):
			continue
		default:
			if err := b.scan(f.Name, maxSmallPart, nil, nil); err != nil {
				return nil, err
			}
		}

		if err := z.Copy(f); err != nil {
			return nil, b.damaged(f.Name, err)
		}
	}

	if err := z.Close(); err != nil {
		return nil, b.damaged("the zip archive", err)
	}

	return out.Bytes(), nil
}
