package message

// Text is a Body in one piece.
type Text []byte

func (t Text) AppendTo(e *Encoder) error {
	_, err := e.Write(t)
	return err
}
